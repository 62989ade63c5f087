"""Bills of the providers: read into one shape, put together over restatements, split by whom they belong to."""
