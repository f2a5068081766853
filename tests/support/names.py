"""Names and values of every kind that may be stored."""

from hypothesis import strategies as st

from wire.errors import Malformed
from wire.ids import device_id, metric_name
from wire.messages import Value

# Characters that stores, queries and line protocol treat in ways of their own.
_ODD = st.sampled_from(list("\\\"' ,=%_#;{}$`\u00a0\u200d\U0001f321éΩ日|*.()[]~^-1AaF"))
_TEXTS = st.one_of(
    st.text(_ODD, min_size=1, max_size=20),
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=64),
    st.sampled_from(["time", "tenant", "device", "_time", "_field", "NULL", "true", "1", "%41"]),
)


def _is_metric(text: str) -> bool:
    try:
        metric_name(text)
    except Malformed:
        return False
    return True


def _is_device(text: str) -> bool:
    try:
        device_id(text)
    except Malformed:
        return False
    return True


def _as_level(text: str) -> str:
    """Make a level of a topic of it: what may not be in one is left out."""
    return "".join(char for char in text if char.isprintable() and char not in "/+#").strip()


names = _TEXTS.map(str.strip).filter(_is_metric)
device_names = _TEXTS.map(_as_level).filter(_is_device)
finite_numbers = st.floats(allow_nan=False, allow_infinity=False)
stored_values: st.SearchStrategy[Value] = st.one_of(
    finite_numbers, st.booleans(), st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
)
