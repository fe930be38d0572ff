"""Why the contract refuses to start."""


class ContractError(Exception):
    """The documents, the policy and the handlers do not fit together. One line, for whoever starts the server."""
