"""What every answer says of the account's budget: limits, what is used, what is left, and whether that is little."""

from llm_backend.domain.entries import Balance


def budget_headers(balance: Balance | None) -> dict[str, str]:
    """By header; none for a currency that has no limit."""
    if balance is None:
        return {}
    headers: dict[str, str] = {}
    near = []
    for currency, amount in (("tokens", balance.tokens), ("microusd", balance.microusd)):
        if amount is None:
            continue
        headers[f"x-budget-limit-{currency}"] = str(amount.limit)
        headers[f"x-budget-used-{currency}"] = str(amount.used)
        headers[f"x-budget-remaining-{currency}"] = str(amount.remaining)
        if amount.is_near:
            near.append(currency)
    return headers | ({"x-budget-warning": ", ".join(near)} if near else {})
