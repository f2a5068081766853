"""`tidegate dev`: a step that asks for what nobody provides stops no other."""

from pathlib import Path

from tests.support.steps import write_steps
from tidegate.running.reloading import Reloader

STEPS = {
    "hello_step": """
    config = {"type": "api", "name": "Hello", "path": "/hello"}
    async def handler(req, ctx):
        return {}
    """,
    "mail_step": """
    config = {"type": "event", "name": "Mail", "subscribes": ["order.placed"]}
    async def handler(order, ctx, *, mailer):
        mailer.send(order)
    """,
}
RESOURCES = """
from contextlib import asynccontextmanager
@asynccontextmanager
async def resources(data_dir):
    yield {"mailer": None}
"""


def test_reloading_leaves_out_a_step_whose_resource_nobody_provides(tmp_path: Path) -> None:
    """The others run; it joins them when the folder brings the resource along."""
    reloader = Reloader([write_steps(tmp_path, STEPS)], middleware=(), resources=())
    before = [step.config.name for step in reloader.steps]

    file = write_steps(tmp_path, {"step_resources": RESOURCES}) / "step_resources.py"
    has_changed = reloader.reload({file})

    assert before == ["Hello"]
    assert has_changed
    assert [step.config.name for step in reloader.steps] == ["Hello", "Mail"]
