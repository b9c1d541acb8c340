"""What targets that the agent is put into share."""
import asyncio
import json
import sys


def agent_is_in():
    agent = sys.modules.get("asyncmon_agent")
    return agent is not None and agent.running() is not None


def say(what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


class Foreign(asyncio.Future):
    """Registers and runs itself by what asyncio publishes for that."""

    def __init__(self, coro, *, loop):
        super().__init__(loop=loop)
        self._coro, self._name, self._fut_waiter = coro, None, None
        asyncio.tasks._register_task(self)
        loop.call_soon(self._step)

    def get_name(self):
        return self._name

    def set_name(self, name):
        self._name = name

    def get_coro(self):
        return self._coro

    def cancel(self, msg=None):
        if self.done():
            return False
        return self._fut_waiter.cancel() if self._fut_waiter else False

    def _wake(self, future):
        self._fut_waiter = None
        self._step(asyncio.CancelledError() if future.cancelled() else None)

    def _step(self, exc=None):
        asyncio.tasks._enter_task(self._loop, self)
        try:
            waiter = self._coro.send(None) if exc is None else self._coro.throw(exc)
        except StopIteration as e:
            self.set_result(e.value)
        except asyncio.CancelledError:
            super().cancel()
        except Exception as e:
            self.set_exception(e)
        else:
            if waiter is None:
                self._loop.call_soon(self._step)
            else:
                waiter._asyncio_future_blocking = False
                self._fut_waiter = waiter
                waiter.add_done_callback(self._wake)
        finally:
            asyncio.tasks._leave_task(self._loop, self)
