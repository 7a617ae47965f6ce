/**
 * A random name for a message. `crypto.randomUUID` is missing on plain http
 * (a demo opened from another machine), `getRandomValues` is not.
 *
 * @returns {string} 32 hexadecimal digits, as a UUID
 */
export function newClientId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40; // version 4
  bytes[8] = (bytes[8] & 0x3f) | 0x80; // the variant of RFC 4122
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
