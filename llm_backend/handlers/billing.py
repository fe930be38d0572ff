"""`/v1/dashboard/billing`: the balance, as OpenAI's dashboard once told it."""

from starlette.responses import Response

from llm_backend.domain.billing import Bill, bill
from llm_backend.edge.call import Call
from llm_backend.edge.replies import json_reply

MICROUSD_PER_USD = 1_000_000
MICROUSD_PER_CENT = 10_000
UNLIMITED_USD = 100_000_000
"""Told where there is no limit: whoever reads this knows numbers only."""


async def get_billing_subscription(call: Call) -> Response:
    """The limit in US dollars."""
    limit = (await _bill(call)).limit_microusd
    told = UNLIMITED_USD if limit is None else limit / MICROUSD_PER_USD
    return json_reply({"object": "billing_subscription", "has_payment_method": True, "hard_limit_usd": told})


async def get_billing_usage(call: Call) -> Response:
    """What was used of it, in cents."""
    used = (await _bill(call)).used_microusd
    return json_reply({"object": "list", "total_usage": used / MICROUSD_PER_CENT})


async def _bill(call: Call) -> Bill:
    return bill(await call.services.budgets.of_key(call.owner.account_id, call.owner.key_id))
