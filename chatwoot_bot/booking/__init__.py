"""Where calls are booked: in our own calendar, or at Cal.com."""
