"""`chatwoot-bot doctor`: small checks that name the setting at fault and the mend."""
