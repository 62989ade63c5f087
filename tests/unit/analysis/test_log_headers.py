"""Where a message begins is learned from the lines: one rule for syslog, Java, cluster, device and proxy formats."""

import pytest

from analysis.log_headers import Header, learn_header

MESSAGES = ("took 5 s for block blk_77", "session opened for user root", "retry: queue is full (3 of 4)", "ready")
FORMATS = {
    "syslog": "Mar {day:>2} 07:1{n}:02 hostb cron[{pid}]: {message}",
    "collected syslog": "- 117{pid} 2021.03.0{n} dn{pid} Mar {day} 12:01:0{n} dn{pid} cron(x)[{pid}]: {message}",
    "java": "2021-03-0{n} 10:01:4{n},97{n} INFO [IPC handler {n} on 9{pid}] org.example.Master$Inner: {message}",
    "java with dashes": "2021-03-0{n} 10:01:4{n},97{n} - WARN  [Peer[id={n}]/0:0:0:Factory@{pid}] - {message}",
    "numbers and a level": "0903{day} 2036{pid} {pid} INFO dfs.Node$Part: {message}",
    "web server": "[Sun Mar {day:02} 04:4{n}:44 2021] [notice] {message}",
    "bars": "202103{day}-10:15:2{n}:60{n}|Step_{n}|3000{pid}|{message}",
    "request context": "api.log.1 2021-03-0{n} 00:00:0{n}.008 2{pid} INFO api.wsgi.server [req-{pid}a8 - -] {message}",
    "device": "03-17 16:13:3{n}.811  17{pid}  23{pid} D Window{n}Manager: {message}",
    "proxy": "[03.{day} 16:49:0{n}] worker.exe - {message}",
}


def lines(form, count=40):
    for n in range(count):
        message = f"{MESSAGES[n % 4]} number {n}"
        yield form.format(n=n % 10, day=10 + n % 18, pid=100 + 7 * n, message=message), message


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_the_header_of_every_usual_format_is_found(form):
    pairs = list(lines(form))
    header = learn_header([line for line, _ in pairs])

    assert [header.message(line) for line, _ in pairs] == [message for _, message in pairs]


def test_lines_without_a_header_are_left_whole():
    plain = ["cannot open file", "queue: full", "user 7 left", "the end"] * 20

    assert learn_header(plain) == Header()
    assert learn_header(plain).message("queue: full") == "queue: full"
    assert learn_header([]) == Header()


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "retry {n} of 5 to cart failed"),
        ("", "disk {n} error: no space"),
        ("2021-03-01 10:00:{n:02} INFO app.Server: ", "retry {n} of 5 to cart failed"),
        ("2021-03-01T10:00:{n:02}Z ", "no answer after {n} s from cart"),
    ],
)
def test_numbers_of_a_log_that_says_one_thing_only_stay_in_its_message(header, message):
    told = [(header.format(n=n), message.format(n=n)) for n in range(10, 40)]
    found = learn_header([first + then for first, then in told])

    assert [found.message(first + then) for first, then in told] == [then for _, then in told]


def test_a_continuation_line_is_left_whole():
    many = [line for line, _ in lines(FORMATS["java"])]

    assert learn_header(many).message("    at org.example.Master.run(Master.java:7)") == (
        "    at org.example.Master.run(Master.java:7)"
    )


def test_a_number_in_some_messages_is_no_header():
    many = [f"2021-03-01 10:00:0{n % 10} ERROR {'4' if n % 2 else 'four'} disks lost" for n in range(60)]

    assert learn_header(many).message(many[1]) == "4 disks lost"
