"""What is kept: one module of statements per noun; the caller owns the transaction."""
