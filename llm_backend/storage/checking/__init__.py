"""What has to be true of the ledger's tables, as queries for what is not."""
