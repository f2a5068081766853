"""FastAPI's echo: body and answer are a pydantic model, as it advises."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel


class Reading(BaseModel):
    """The body of every call."""

    key: str
    amount: int
    unit: str
    note: str


async def echo(reading: Reading) -> Reading:
    """Answer the body."""
    return reading


app: Any = FastAPI()
app.post("/echo")(echo)
