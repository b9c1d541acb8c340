"""Says each SIGUSR1 it receives, counted, once its loop has handled it."""
import asyncio
import json
import signal

from truth import FOREVER, Truth, run


async def main():
    truth = Truth()
    loop = truth.loop()
    truth.add(asyncio.current_task(), tag="main")
    count = [0]

    def received():
        count[0] += 1
        print(json.dumps({"received": count[0]}), flush=True)
    loop.add_signal_handler(signal.SIGUSR1, received)
    truth.tell()
    await asyncio.sleep(FOREVER)


run(main())
