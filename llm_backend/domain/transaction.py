"""One transaction of the ledger: entries that waited at the same moment, each with an outcome of its own."""

from collections.abc import Collection, Generator, Iterable, Sequence
from typing import Any, NamedTuple

from llm_backend.domain.budget_headers import budget_headers
from llm_backend.domain.entries import Done, Entry, Granted, Outcome, PeriodMissing, Reserve, Settle, Void, attempt_of
from llm_backend.domain.forecast import Forecast
from llm_backend.domain.granting import Ask, Grant, grant, is_whole
from llm_backend.domain.memory import Known
from llm_backend.domain.sheet import Sheet, Terms
from llm_backend.errors import BudgetExhausted, Unauthenticated
from llm_backend.storage import usage
from llm_backend.storage.accounts import WHOLE
from llm_backend.storage.driver import Rows, Step
from llm_backend.storage.ledger import Statements, read
from llm_backend.storage.ledger_forecasts import Expected
from llm_backend.storage.ledger_rows import Budgeted, Charged, Reserved, Standing, Sums
from llm_backend.storage.ledger_tables import DAILY_SUMS
from llm_backend.storage.ledger_writes import Writes
from llm_backend.storage.usage import UsageRecord

Entering = Generator[Step, Rows, list[Outcome]]


class Moved(NamedTuple):
    """What is decided on an entry that moves sums."""

    periods: Sequence[int]
    """In the order in which a balance is looked for."""
    grant: Grant | None = None
    """Where it reserves."""


class Transaction:
    """Locks what the entries touch, decides on each in turn, and writes all of it."""

    def __init__(self, statements: Statements, terms: Terms, entries: Sequence[Entry]) -> None:
        self._statements = statements
        self._terms = terms
        self._entries = entries
        self._reserves = [entry for entry in entries if isinstance(entry, Reserve)]
        self._locked: dict[str, Reserved] = {}
        self._open: set[str] = set()
        self._charges: dict[str, list[Charged]] = {}
        self._budgeted: set[tuple[int, str]] = set()
        self._good: set[tuple[int, str | None]] = set()
        self._whole: dict[int, int] = {}
        """The current period of each account in which something is given up that is not there."""
        self.writes = Writes()

    def plan(self) -> Entering:
        """The outcomes, in the order of the entries. Reservations are locked before sums, by every transaction."""
        if len(self._reserves) < len(self._entries):
            yield from self._lock_attempts()
        periods = {each for row in self._locked.values() for each in row.periods}
        if self._reserves:
            periods |= yield from self._look_for_end_users()
        accounts = {entry.account_id for entry in self._reserves}
        self._sheet = Sheet(read(Sums, (yield self._statements.sums(accounts, periods))), self._terms)
        if self._reserves:
            yield from self._look_at_callers()
        decided = [self._enter(entry) for entry in self._entries]
        yield from self._written()
        return [self._told(each) for each in decided]

    def forecast(self, known: Known) -> Generator[Step, Rows, list[Outcome] | None]:
        """As `plan`, by one statement, which writes what is decided on what is known where that holds.

        None where it does not, and where what is decided is more than to reserve all that was asked for and to settle:
        then nothing is written.
        """
        self._locked, self._open = known.reserved, set(known.reserved)
        self._good = {(entry.account_id, entry.key_id) for entry in self._reserves}
        forecast = self._sheet = Forecast(known.sums, self._terms, {entry.account_id for entry in self._reserves})
        decided = [self._enter(entry) for entry in self._entries]
        if forecast.warns or not all(map(_is_plain, self._entries, decided)):
            return None
        rows = yield self._statements.write_if(self._expected(forecast), self._gathered())
        if not rows:
            return None
        forecast.correct(rows)
        return [self._told(each) for each in decided]

    @property
    def sums(self) -> Collection[Sums]:
        """As they are once it is committed."""
        return self._sheet.sums

    @property
    def has_events(self) -> bool:
        """Whether a webhook is to be told of it."""
        return bool(self._sheet.events)

    def _lock_attempts(self) -> Generator[Step, Rows, None]:
        attempts = sorted([attempt_of(entry) for entry in self._entries if not isinstance(entry, Reserve)])
        yield from self._lock(attempts)
        if len(self._locked) < len(attempts):
            yield from self._lock_late()
        if len(self._open) < len(self._locked):
            yield from self._look_back(self._locked.keys() - self._open)

    def _lock(self, attempts: Sequence[str]) -> Generator[Step, Rows, None]:
        for row in read(Reserved, (yield self._statements.reserved(attempts))):
            self._locked[row.attempt_id] = row
            if _is_open(row):
                self._open.add(row.attempt_id)

    def _lock_late(self) -> Generator[Step, Rows, None]:
        """Wait for what is given up, and not there yet: a server that hung may be about to commit it.

        Such a transaction holds the sums; once these are locked here, what it has reserved is there, or it has not
        begun: then its place is taken, see `_void`.
        """
        late = [entry for entry in self._entries if isinstance(entry, Void) and entry.attempt_id not in self._locked]
        if late:
            sums = read(Sums, (yield self._statements.sums({entry.account_id for entry in late}, ())))
            self._whole = {each.account_id: each.id for each in sums if each.subject == WHOLE}
            yield from self._lock(sorted(entry.attempt_id for entry in late))

    def _look_back(self, attempts: Iterable[str]) -> Generator[Step, Rows, None]:
        """Find what attempts were charged that someone has settled before."""
        for row in read(Charged, (yield self._statements.charged(attempts))):
            self._charges.setdefault(row.attempt_id, []).append(row)

    def _look_for_end_users(self) -> Generator[Step, Rows, set[int]]:
        """Find the current periods of the end users' budgets: they are locked with all others, in one order."""
        wanted = {(entry.account_id, entry.end_user.subject) for entry in self._reserves if entry.end_user}
        if not wanted:
            return set()
        accounts, subjects = {account_id for account_id, _ in wanted}, {subject for _, subject in wanted}
        rows = read(Budgeted, (yield self._statements.end_users(accounts, subjects)))
        found = [row for row in rows if (row.account_id, row.subject) in wanted]
        self._budgeted = {(row.account_id, row.subject) for row in found}
        return {row.period_id for row in found if row.period_id is not None}

    def _budget_of(self, entry: Reserve) -> str | None:
        """The subject of the end user's budget; None where nothing bounds whom the request is for."""
        user = entry.end_user
        if user is None or not (user.terms.is_budgeted or (entry.account_id, user.subject) in self._budgeted):
            return None
        return user.subject

    def _look_at_callers(self) -> Generator[Step, Rows, None]:
        """Find whose keys and accounts are good: after the sums are locked, as whoever revokes one locks them first."""
        keys = {entry.key_id for entry in self._reserves if entry.key_id is not None}
        if keys:
            found = read(Standing, (yield self._statements.keys(keys)))
            self._good |= {(row.account_id, row.key_id) for row in found if row.is_good}
        keyless = {entry.account_id for entry in self._reserves if entry.key_id is None}
        if keyless:
            rows = yield self._statements.accounts(keyless)
            self._good |= {(account_id, None) for account_id, is_active in rows if is_active}

    def _expected(self, forecast: Forecast) -> Expected:
        keys = [{"account_id": account_id, "key_id": key_id} for account_id, key_id in self._good if key_id is not None]
        accounts = [{"account_id": account_id} for account_id, key_id in self._good if key_id is None]
        return Expected(forecast.expected(), keys, accounts)

    def _enter(self, entry: Entry) -> Moved | Outcome:
        match entry:
            case Reserve():
                return self._reserve(entry)
            case Settle():
                return self._settle(entry.record)
            case Void():
                return self._void(entry)

    def _written(self) -> Generator[Step, Rows, None]:
        yield from self._statements.write(self._gathered())

    def _gathered(self) -> Writes:
        self.writes.days = self._sheet.days()
        self.writes.moves = self._sheet.moves()
        self.writes.events = self._sheet.events
        return self.writes

    def _told(self, decided: Moved | Outcome) -> Outcome:
        """With how the budget stands after all of them."""
        if not isinstance(decided, Moved):
            return decided
        balance = self._sheet.balance(decided.periods)
        return Done(balance) if decided.grant is None else Granted(decided.grant, balance)

    def _reserve(self, entry: Reserve) -> Moved | Outcome:
        if (entry.account_id, entry.key_id) not in self._good:
            return Unauthenticated()
        ceilings = self._sheet.ceilings(entry.account_id, entry.key_id, entry.model, self._budget_of(entry))
        if ceilings is None:
            return PeriodMissing()
        try:
            granted = grant(entry.ask, ceilings)
        except BudgetExhausted as refusal:
            refusal.headers = budget_headers(self._sheet.balance([sums.id for sums in ceilings]))
            return refusal
        by_kind = {sums.subject.partition(":")[0]: sums.id for sums in ceilings}
        periods = list(by_kind.values())
        for period_id in periods:
            self._sheet.hold(period_id, granted.reserved_tokens, granted.reserved_microusd)
        self.writes.reservations.append(self._row(entry, granted, by_kind))
        return Moved(periods, granted)

    def _row(self, entry: Reserve, granted: Grant, periods: dict[str, int]) -> dict[str, Any]:
        return {
            "attempt_id": entry.attempt_id,
            "account_id": entry.account_id,
            "key_id": entry.key_id,
            # The upstream is chosen already: nothing happens between the reservation and the request.
            "state": "dispatched",
            "owner": self._terms.owner,
            "lease": self._terms.lease_seconds,
            "account_period_id": periods[""],
            "key_period_id": periods.get("key"),
            "model_period_id": periods.get("model"),
            "user_period_id": periods.get("user"),
            "reserved_tokens": granted.reserved_tokens,
            "reserved_microusd": granted.reserved_microusd,
            "observed_prompt_tokens": min(entry.observed_prompt_tokens, granted.reserved_tokens),
            "observed_completion_tokens": 0,
            "details": entry.details,
        }

    def _taken(self, entry: Void, period_id: int) -> dict[str, Any]:
        nothing = Reserve(entry.attempt_id, entry.account_id, None, "", Ask(0, 0), 0, b"{}")
        row = self._row(nothing, Grant(0, 0, 0, is_bounded=False), {"": period_id})
        return row | {"state": "voided"}

    def _settle(self, record: UsageRecord) -> Moved | Outcome:
        row = self._locked.get(record.attempt_id)
        if row is None:
            return LookupError(f"attempt {record.attempt_id} has no reservation")
        periods = row.periods
        if row.attempt_id in self._open:
            self._let_go(row, periods, "voided" if record.basis == "void" else "settled")
            is_over = record.total_tokens > row.reserved_tokens or record.cost_microusd > row.reserved_microusd
            self._charge(row, periods, record, overrun=is_over)
        else:
            late = _adjustment(record, self._charges.get(record.attempt_id, []))
            if late is None:
                return Done()
            self._charge(row, periods, late, overrun=record.overrun)
        return Moved(periods)

    def _void(self, entry: Void) -> Moved | Outcome:
        row = self._locked.get(entry.attempt_id)
        if row is None:
            # A statement that was sent and not answered may come to the server when it was given up long ago: it
            # finds its attempt taken, and writes nothing.
            if entry.account_id in self._whole:
                self.writes.reservations.append(self._taken(entry, self._whole[entry.account_id]))
            return Done()
        if row.attempt_id not in self._open:
            return Done()
        periods = row.periods
        self._let_go(row, periods, "voided")
        return Moved(periods)

    def _let_go(self, row: Reserved, periods: Sequence[int], state: str) -> None:
        self._open.remove(row.attempt_id)
        self.writes.closed.append({"attempt": row.attempt_id, "to": state})
        for period_id in periods:
            self._sheet.hold(period_id, -row.reserved_tokens, -row.reserved_microusd)

    def _charge(self, row: Reserved, periods: Sequence[int], record: UsageRecord, *, overrun: bool) -> None:
        stored = usage.values(record)
        stored["overrun"] = overrun
        stored["account_period_id"] = row.account_period_id
        stored["key_period_id"] = row.key_period_id
        stored["model_period_id"] = row.model_period_id
        stored["user_period_id"] = row.user_period_id
        self.writes.records.append(stored)
        self._sheet.count(stored)
        for period_id in periods:
            self._sheet.use(period_id, record.total_tokens, record.cost_microusd)
        self._sheet.warn(row.account_period_id, stored)


def _is_open(row: Reserved) -> bool:
    return row.state in {"held", "dispatched"}


def _is_plain(entry: Entry, decided: Moved | Outcome) -> bool:
    if not isinstance(decided, Moved):
        return False
    return decided.grant is None or (isinstance(entry, Reserve) and is_whole(entry.ask, decided.grant))


def _adjustment(record: UsageRecord, known: Sequence[Charged]) -> UsageRecord | None:
    """The truth that came late, less what was charged in the owner's absence; None where the charge was the truth."""
    charge = next((row for row in known if row.kind == "charge" and row.basis == "crash"), None)
    if charge is None or any(row.kind == "adjustment" for row in known):
        return None
    already = charge._asdict()
    names = ("prompt_tokens", "completion_tokens", *DAILY_SUMS[2:])
    return record._replace(kind="adjustment", **{name: getattr(record, name) - already[name] for name in names})
