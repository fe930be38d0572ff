"""The contract: compiled, merged, turned into what Connexion reads, and enforced."""
