"""What the model may do in a turn besides speaking."""
