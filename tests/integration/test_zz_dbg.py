import time, anyio, sys, tempfile, threading
from pathlib import Path
from tests.support.servers import *
import tests.support.servers as S
from tests.support.ingestion import Flaky, running, until
from tests.integration.test_ingest_mqtt import _publish, _reading
from cloud.ingest.client import BrokerAccess
from cloud.settings import Ingest as Settings
import pytest
pytestmark = pytest.mark.anyio

@pytest.mark.parametrize("n", range(12))
@pytest.mark.parametrize("v5", [True, False])
async def test_dbg(own_mosquitto, tmp_path, n, v5):
    store=Flaky()
    settings = Settings(batch_readings=10, batch_wait_s=0.02, queue_messages=100)
    access=BrokerAccess(own_mosquitto.host, own_mosquitto.port, mqtt5=v5)
    async with running(tmp_path, store, broker=access, settings=settings) as run:
        store.takes_s = 0.02
        await _publish(own_mosquitto, *map(_reading, range(1, 3001)))
        await until(lambda: store.written >= 100)
        svc=run.service
        began=time.monotonic(); held0=svc.gateway.held; w0=store.written
        log=[]
        async def watch():
            with anyio.CancelScope(shield=True):
                while time.monotonic()-began<2.9:
                    log.append((round(time.monotonic()-began,2), svc.gateway.held, store.written, svc._receiver._is_done_taking.is_set()))
                    await anyio.sleep(0.2)
        run.registry  # keep
        import asyncio
        t=asyncio.get_running_loop().create_task(watch())
    took=time.monotonic()-began
    print("DBG", v5, "took", round(took,2), "held0", held0, "w0", w0, "written", store.written, log if took>2 else log[:2])
    t.cancel()
