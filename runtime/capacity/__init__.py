"""What services use over weeks, and whether what they may grow to carries what is coming."""
