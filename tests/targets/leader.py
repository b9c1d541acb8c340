"""The thread that leads the process ends; the loop lives on in another."""
import asyncio
import ctypes
import os
import threading
import time

from truth import FOREVER, Truth, run

truth = Truth()


async def main():
    truth.loop()
    truth.add(asyncio.current_task(), kind="sleep", tag="main")
    asyncio.get_running_loop().call_later(0.5, truth.tell)
    await asyncio.sleep(FOREVER)


threading.Thread(target=lambda: run(main())).start()
time.sleep(0.2)
# Past Python: the GIL is let go by the call, the thread state stays behind.
libc = ctypes.CDLL(None)
number = {"x86_64": 60, "aarch64": 93}[os.uname().machine]
libc.syscall(ctypes.c_long(number), ctypes.c_long(0))
