"""The rules of the file `acl`: parsed, asked, and written out for every account. Pure.

One file is the source of all: Mosquitto reads it itself, the embedded broker asks `Rules`.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, cast

from broker.accounts import check_username

Access = Literal["read", "write"]
_PLACEHOLDER = "%u"


class Rule(NamedTuple):
    """One line of the file: who (None: every account), what, which topics."""

    username: str | None
    access: Access
    topic_filter: str


class Rules:
    """What an account may do; what no rule allows is denied."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._patterns: list[Rule] = []
        self._own: dict[str, list[Rule]] = {}
        for rule in rules:
            kind = self._patterns if rule.username is None else self._rules_of(rule.username)
            kind.append(rule)

    def allows(self, username: str, access: Access, topic: str) -> bool:
        """Tell whether the account may read or write exactly this topic (no wildcards in it)."""
        levels = topic.split("/")
        return any(
            matches(levels, rule.topic_filter.split("/"))
            for rule in self.of(username)
            if rule.access == access
        )

    def allows_subscription(self, username: str, topic_filter: str) -> bool:
        """Tell whether some topic that the filter matches could be read by the account."""
        wanted = topic_filter.split("/")
        return any(
            _overlap(wanted, rule.topic_filter.split("/"))
            for rule in self.of(username)
            if rule.access == "read"
        )

    def of(self, username: str) -> list[Rule]:
        """Return the rules of one account, its name in the place of `%u`."""
        patterns = [
            Rule(username, rule.access, rule.topic_filter.replace(_PLACEHOLDER, username))
            for rule in self._patterns
        ]
        return [*self._own.get(username, []), *patterns]

    def _rules_of(self, username: str) -> list[Rule]:
        return self._own.setdefault(username, [])


def parse_rules(text: str) -> Rules:
    """Parse an ACL file of the kind that is shipped: `user`, `topic` and `pattern` lines.

    Raises:
        ValueError: a line of another kind, with its number.
    """
    rules: list[Rule] = []
    username: str | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        word, _, rest = line.strip().partition(" ")
        if not word or word.startswith("#"):
            continue
        if word == "user":
            username = rest
            continue
        access, _, topic_filter = rest.partition(" ")
        if access not in ("read", "write") or not topic_filter:
            raise ValueError(f"acl line {number}: expected read or write and a topic")
        if word == "pattern":
            rules.append(Rule(None, cast("Access", access), topic_filter))
        elif word == "topic" and username:
            rules.append(Rule(username, cast("Access", access), topic_filter))
        else:
            raise ValueError(f"acl line {number}: expected user, topic below a user, or pattern")
    return Rules(rules)


def render_for_accounts(rules: Rules, usernames: Iterable[str]) -> str:
    """Write the rules out for each account, without patterns.

    Mosquitto 2.1 ends a name at its first slash where it stands for `%u`
    (eclipse-mosquitto/mosquitto#3520), so no device would be allowed anything.
    """
    lines: list[str] = []
    for username in sorted(usernames):
        check_username(username)
        lines.append(f"user {username}")
        lines.extend(f"topic {rule.access} {rule.topic_filter}" for rule in rules.of(username))
    return "\n".join(lines) + "\n"


def matches(topic: Sequence[str], topic_filter: Sequence[str]) -> bool:
    """Tell whether the levels of a topic match those of a filter (MQTT 3.1.1, 4.7)."""
    for index, wanted in enumerate(topic_filter):
        if wanted == "#":
            return index > 0 or not topic[0].startswith("$")
        if index >= len(topic):
            return False
        if wanted == "+" and not (index == 0 and topic[0].startswith("$")):
            continue
        if wanted != topic[index]:
            return False
    return len(topic) == len(topic_filter)


def _overlap(one: Sequence[str], other: Sequence[str]) -> bool:
    """Tell whether two filters have a topic in common."""
    for left, right in zip(one, other, strict=False):
        if "#" in (left, right):
            return True
        if left != right and "+" not in (left, right):
            return False
    longer = max(one, other, key=len)
    shorter = min(len(one), len(other))
    return len(one) == len(other) or longer[shorter] == "#"
