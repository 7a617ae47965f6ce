"""What the bot knows: documents in, passages out."""
