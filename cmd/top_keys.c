#include "cmd/top.h"

#include <ctype.h>
#include <curses.h>
#include <stdlib.h>
#include <string.h>

#include "show/list_look.h"

#define ESCAPE 27

static const char help[] =
	"Keys of top\n\n"
	"  Up, Down, PgUp, PgDn, Home, End   choose a task\n"
	"  Enter      the task whole: where it is, and why it waits\n"
	"  c          cancel it, once that is confirmed\n"
	"  /          show only tasks with a text in their name or coroutine; Esc: all again\n"
	"  s, S       sort by the next column, the one before\n"
	"  r          the other way round\n"
	"  g          group: by coro, created, waiting, state, group, by; and tasks again\n"
	"  p          pause, go on\n"
	"  Tab        the next process\n"
	"  q          leave\n\n"
	"Esc goes back to the list.\n";

static size_t count_columns(void)
{
	size_t n = 0;
	while (list_tasks.columns[n].name)
		n++;
	return n;
}

static size_t count_groups(void)
{
	size_t n = 0;
	while (list_tasks.groups_by[n])
		n++;
	return n;
}

static void move_by(struct top *t, long by)
{
	size_t *at = t->page.len ? &t->page_first : &t->at;
	if (by < 0)
		*at -= *at < (size_t)-by ? *at : (size_t)-by;
	else
		*at += (size_t)by;
	/* The list says which task that is once it is drawn. */
	t->chosen = t->page.len ? t->chosen : 0;
}

static void open_page(struct top *t)
{
	char id[24];
	if (!t->chosen || t->group)
		return;
	snprintf(id, sizeof id, "0x%llx", (unsigned long long)t->chosen);
	strbuf_clear(&t->page);
	top_command(t, "where", id, &t->page);
	strbuf_str(&t->page, "\nWhy it waits:\n");
	top_command(t, "why", id, &t->page);
	t->page_first = 0;
}

static void ask(struct top *t, int what)
{
	const struct task *task = t->chosen ? snapshot_task(top_target(t)->now, t->chosen) : NULL;
	t->answer[0] = '\0';
	if (what == ASK_FILTER) {
		snprintf(t->prompt, sizeof t->prompt, "Show only tasks with: ");
	} else {
		if (!task || t->group)
			return;
		snprintf(t->prompt, sizeof t->prompt, "Cancel task %.100s (0x%llx)? This changes the process. y/n ",
			 task->name ? task->name : "?", (unsigned long long)t->chosen);
	}
	t->asks = what;
}

static void cancel(struct top *t)
{
	char id[24];
	struct strbuf text = { 0 };
	snprintf(id, sizeof id, "0x%llx", (unsigned long long)t->chosen);
	strbuf_clear(&t->said);
	top_command(t, "cancel", id, &text);
	if (text.len) {
		strbuf_clear(&t->said);
		strbuf_add(&t->said, text.s, strcspn(text.s, "\n"));
	}
	strbuf_free(&text);
}

/* A key while an answer is typed. */
static void answer_key(struct top *t, int key)
{
	size_t n = strlen(t->answer);
	if (t->asks == ASK_CANCEL) {
		t->asks = ASK_NOTHING;
		t->prompt[0] = '\0';
		if (key == 'y' || key == 'Y')
			cancel(t);
		return;
	}
	if (key == '\n' || key == KEY_ENTER || key == ESCAPE) {
		if (key != ESCAPE)
			memcpy(t->filter, t->answer, sizeof t->filter);
		t->asks = ASK_NOTHING;
		t->prompt[0] = '\0';
		t->first = t->at = 0;
		t->chosen = 0;
	} else if ((key == KEY_BACKSPACE || key == 127 || key == 8) && n) {
		while (n && ((unsigned char)t->answer[n - 1] & 0xC0) == 0x80)
			n--;
		t->answer[n ? n - 1 : 0] = '\0';
	} else if (key >= ' ' && key < 256 && key != 127 && n + 1 < sizeof t->answer) {
		t->answer[n] = (char)key;
		t->answer[n + 1] = '\0';
	}
}

static bool movement(struct top *t, int key)
{
	long room = (long)top_room(t);
	switch (key) {
	case KEY_UP:
		move_by(t, -1);
		return true;
	case KEY_DOWN:
		move_by(t, 1);
		return true;
	case KEY_PPAGE:
		move_by(t, -room);
		return true;
	case KEY_NPAGE:
	case ' ':
		move_by(t, room);
		return true;
	case KEY_HOME:
		move_by(t, -(1l << 40));
		return true;
	case KEY_END:
		move_by(t, 1l << 40);
		return true;
	default:
		return false;
	}
}

static void back(struct top *t)
{
	if (t->page.len)
		strbuf_clear(&t->page);
	else
		t->filter[0] = '\0';
	strbuf_clear(&t->said);
}

void top_key(struct top *t, int key)
{
	size_t columns = count_columns() + 1, groups = count_groups() + 1;
	if (t->asks != ASK_NOTHING) {
		answer_key(t, key);
		return;
	}
	if (movement(t, key))
		return;
	switch (key) {
	case 'q':
		if (t->page.len)
			back(t);
		else
			t->quit = true;
		break;
	case ESCAPE:
		back(t);
		break;
	case '?':
	case 'h':
		strbuf_clear(&t->page);
		strbuf_str(&t->page, help);
		t->page_first = 0;
		break;
	case '\n':
	case KEY_ENTER:
		open_page(t);
		break;
	case 'c':
		ask(t, ASK_CANCEL);
		break;
	case '/':
		ask(t, ASK_FILTER);
		break;
	case 's':
		t->sort = (t->sort + 1) % columns;
		break;
	case 'S':
		t->sort = (t->sort + columns - 1) % columns;
		break;
	case 'r':
		t->reverse = !t->reverse;
		break;
	case 'g':
		t->group = (t->group + 1) % groups;
		t->first = t->at = 0;
		break;
	case 'p':
		t->paused = !t->paused;
		break;
	case '\t':
		t->shown = (t->shown + 1) % t->targets.n;
		t->first = t->at = 0;
		t->chosen = 0;
		break;
	default:
		break;
	}
}
