# Runs in the target, behind target_link.py: the console. Each input is run by a task of
# its own in the loop; standard output is ours only while that task takes a step, and
# only in its thread, so that what the program prints goes where it always went.
import ast
import builtins
import codeop
import traceback
import types
import _thread


class Interrupted(BaseException):
    pass


class Out:
    def __init__(self, console, other):
        self.console, self.other = console, other

    def write(self, text):
        if threading.get_ident() != self.console.thread:
            return self.other.write(text)
        self.console.link.send('o', str(text))
        return len(text)

    def flush(self):
        if self.other is not None:
            self.other.flush()

    def __getattr__(self, name):
        return getattr(self.other, name)


class Redirected:
    def __init__(self, console):
        self.console = console

    def __enter__(self):
        self.was = sys.stdout, sys.stderr
        self.ours = Out(self.console, sys.stdout), Out(self.console, sys.stderr)
        sys.stdout, sys.stderr = self.ours

    def __exit__(self, *error):
        if sys.stdout is self.ours[0]:
            sys.stdout = self.was[0]
        if sys.stderr is self.ours[1]:
            sys.stderr = self.was[1]


class Console:
    def __init__(self, loop):
        self.loop = loop
        self.thread = None
        self.job = self.waiter = None
        self.interrupting = False
        self.before = ()
        self.compiler = codeop.CommandCompiler()
        self.compiler.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self.names = {
            '__name__': '__console__', '__builtins__': builtins, 'asyncio': asyncio,
            'loop': loop, 'task': self.find_task, 'print': self.print, 'input': self.no_input,
            ' show': self.show,
        }
        self.link = Link(loop, self.receive, self.close)

    # ---- names at hand ----

    def find_task(self, name):
        """The task of that name, or id (a number, or a text like 0x7f...)."""
        found = [t for t in asyncio.all_tasks(self.loop)
                 if name in (id(t), hex(id(t)), str(id(t))) or t.get_name() == name]
        if len(found) != 1:
            raise LookupError('%s tasks are called %r' % (len(found) or 'no', name))
        return found[0]

    def print(self, *args, **kw):
        if kw.get('file') is not None or self.link.closed:
            return builtins.print(*args, **kw)
        import io
        text = io.StringIO()
        builtins.print(*args, **dict(kw, file=text))
        if threading.get_ident() == self.thread:
            self.link.send('o', text.getvalue())
        else:
            self.loop.call_soon_threadsafe(self.link.send, 'o', text.getvalue())

    @staticmethod
    def no_input(*args):
        raise RuntimeError('the console has no standard input')

    def show(self, value):
        if value is not None:
            self.names['_'] = value
            self.link.send('o', repr(value) + '\n')

    # ---- what comes from asyncmon ----

    def receive(self, kind, text):
        self.thread = threading.get_ident()
        if kind == 'i':
            self.interrupt()
        elif kind == 'c':
            self.link.send('c', '\n'.join(self.complete(text)))
        elif kind in 'xl':
            self.link.send('a')
            self.execute(text, kind == 'l')

    def execute(self, source, may_want_more):
        if self.job is not None:
            self.link.send('d', 'busy')
            return
        try:
            with Redirected(self):
                code = self.compile(source, may_want_more)
        except BaseException as e:
            self.link.send('o', ''.join(traceback.format_exception_only(type(e), e)))
            self.link.send('d', 'error')
            return
        if code is None:
            self.link.send('d', 'more')
            return
        self.interrupting = False
        self.before = asyncio.all_tasks(self.loop)
        self.names['tasks'] = tasks = list(self.before)
        self.job = asyncio.Task(self.run(code, tasks), loop=self.loop)
        del tasks
        if hasattr(self.job, 'set_name'):
            self.job.set_name('asyncmon-console')

    def compile(self, source, may_want_more):
        if may_want_more:
            try:
                if self.compiler(source, '<console>', 'single') is None:
                    return None
            except (SyntaxError, ValueError, OverflowError):
                pass         # or several statements at once: told apart below
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        tree = compile(source, '<console>', 'exec', flags | ast.PyCF_ONLY_AST, True)
        for i, node in enumerate(tree.body):
            if isinstance(node, ast.Expr):
                show = ast.Call(ast.Name(' show', ast.Load()), [node.value], [])
                tree.body[i] = ast.Expr(show)
                ast.copy_location(tree.body[i], node)
                ast.fix_missing_locations(ast.copy_location(show, node))
                ast.copy_location(show.func, node)
        return compile(tree, '<console>', 'exec', flags, True)

    async def run(self, code, tasks):
        how = 'done'
        try:
            with Redirected(self):
                made = eval(code, self.names)
            if code.co_flags & 0x80:       # CO_COROUTINE: there is an await in it
                await self.drive(made)
        except SystemExit:
            how = 'exit'
        except BaseException as e:
            how = 'interrupted' if self.interrupting else 'error'
            if how == 'error' or not isinstance(e, (asyncio.CancelledError, Interrupted, KeyboardInterrupt)):
                self.report(e)
            # Ctrl-C at the program's own terminal is not ours to keep.
            if isinstance(e, KeyboardInterrupt) and not self.interrupting:
                _thread.interrupt_main()
        if self.names.get('tasks') is tasks:
            del self.names['tasks']
        self.before = ()
        self.job = None
        self.link.send('d', how)

    def report(self, e):
        tb = e.__traceback__
        while tb is not None and tb.tb_frame.f_code.co_filename == '<asyncmon>':
            tb = tb.tb_next
        text = ''.join(traceback.format_exception(type(e), e, tb))
        self.link.send('o', text)

    @types.coroutine
    def drive(self, coro):
        """Awaits coro step by step. What a step waits for is waited for through a future
        of our own: giving up must not cancel a task of the program that is awaited."""
        value = error = None
        while True:
            with Redirected(self):
                try:
                    awaited = coro.send(value) if error is None else coro.throw(error)
                except StopIteration as stop:
                    return stop.value
            value = error = None
            try:
                if getattr(awaited, '_asyncio_future_blocking', None):
                    awaited._asyncio_future_blocking = False
                    yield from self.wait(awaited)
                else:
                    value = yield awaited
            except BaseException as e:
                error = e

    def wait(self, awaited):
        self.waiter = waiter = self.loop.create_future()

        def wake(_):
            if not waiter.done():
                waiter.set_result(None)
        awaited.add_done_callback(wake)
        try:
            yield from waiter
        except asyncio.CancelledError:
            awaited.remove_done_callback(wake)
            if not self.interrupting or self.is_ours(awaited):
                awaited.cancel()
            raise
        finally:
            self.waiter = None

    def is_ours(self, awaited):
        """A task that this input made, or a gather of such."""
        if isinstance(awaited, asyncio.Task):
            return awaited not in self.before
        children = getattr(awaited, '_children', None)
        return bool(children) and not any(child in self.before for child in children)

    def interrupt(self):
        self.interrupting = True
        if self.waiter is not None:
            self.waiter.cancel()
        elif self.job is not None:
            self.job.cancel()

    def complete(self, text):
        import keyword
        head, dot, tail = text.rpartition('.')
        if dot:
            parts = head.split('.')
            if not all(part.isidentifier() for part in parts):
                return []
            try:
                found = self.names[parts[0]] if parts[0] in self.names else getattr(builtins, parts[0])
                if parts[0] == 'tasks' and parts[0] not in self.names:
                    found = []
                for part in parts[1:]:
                    found = getattr(found, part)
                words = dir(found)
            except Exception:
                return []
        else:
            words = list(self.names) + ['tasks'] + dir(builtins) + keyword.kwlist
        words = sorted({w for w in words if w.startswith(tail) and w.isidentifier()
                        and (tail.startswith('_') or not w.startswith('_'))})
        return [head + dot + w for w in words[:1000]]

    def close(self):
        self.interrupt()
        self.names.clear()


def console(loop):
    return Console(find_loop(loop)).link.far.fileno()


def console_at(frame):
    """The console that runs in this stack, and the frames of its code, innermost first."""
    code = []
    while frame is not None:
        name = frame.f_code.co_filename
        if name != '<asyncmon>':
            # What starts this very text comes first, and is none of the console's.
            if code or name != '<string>':
                code.append(frame)
        else:
            me = frame.f_locals.get('self')
            if type(me).__name__ == 'Console' and me.job is not None:
                return me, code
            code.clear()     # of the text that carries this one
        frame = frame.f_back
    return None, code


def raise_here(code):
    """In this very thread, which runs us in the middle of that code: at its next line, and
    in no other frame, for an exception that comes late would end the program's loop."""
    if sys.gettrace() is not None:
        return 'no'

    def trace(frame, event, arg):
        if frame in code or frame.f_back in code:
            code.clear()
            raise KeyboardInterrupt
    for frame in code:
        frame.f_trace = trace
        # 3.11 sees no line begin in `while True: pass`; 3.9 loses what a line event raises
        # where opcodes are traced too.
        frame.f_trace_opcodes = sys.version_info >= (3, 10)
    sys.settrace(trace)
    return 'yes'


def raise_there(ident):
    import ctypes
    return 'yes' if ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(ident), ctypes.py_object(KeyboardInterrupt)) else 'no'


def break_in():
    """Has the console's own code, which keeps its loop from looking, interrupted."""
    for ident, frame in sys._current_frames().items():
        me, code = console_at(frame)
        if code and me is not None:
            me.interrupting = True
            return raise_here(code) if ident == threading.get_ident() else raise_there(ident)
    return 'no'
