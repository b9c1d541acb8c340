# Runs in the target, behind target_link.py: cancels tasks of one loop, in that loop, and
# tells what becomes of them for as long as asyncmon listens.
class Canceller:
    def __init__(self, loop, wanted, message):
        self.loop, self.wanted, self.message = loop, set(wanted), message
        self.watched = []
        self.link = Link(loop, self.receive, self.close)

    def receive(self, kind, text):
        if kind != 'h':
            return
        for task in asyncio.all_tasks(self.loop):
            if id(task) in self.wanted:
                self.wanted.discard(id(task))
                self.watched.append(task)
                task.add_done_callback(self.done)
                asked = task.cancel(self.message) if self.message else task.cancel()
                self.link.send('r', '0x%x %d' % (id(task), asked))
        for ident in self.wanted:
            self.link.send('n', '0x%x' % ident)

    def done(self, task):
        self.watched.remove(task)
        if task.cancelled():
            outcome, said = 'cancelled', ''
        else:
            # exception() would count as someone having looked at it.
            e = getattr(task, '_exception', None)
            outcome = 'finished' if e is None else 'failed'
            said = '' if e is None else '%s: %s' % (type(e).__qualname__, str(e)[:1000])
        self.link.send('d', '0x%x %s %s' % (id(task), outcome, said))

    def close(self):
        for task in self.watched:
            task.remove_done_callback(self.done)
        self.watched.clear()


def cancel(loop, wanted, message):
    return Canceller(find_loop(loop), wanted, message).link.far.fileno()
