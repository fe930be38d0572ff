"""Chat completions that are kept here because `store` asked for it."""
