#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is counted, as people, programs and Prometheus see it: stats, top, metrics, log level."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import initiator  # noqa: E402
import kurad  # noqa: E402
import tapout  # noqa: E402
import tool  # noqa: E402
from guest import wait_for  # noqa: E402

TARGET = "iqn.2026-11.kura.test:counted"
HOST = "iqn.2026-11.kura.test:host"
VOLUME = {"name": "m", "store": "mem", "size": "8M"}
OTHER = {"name": "idle", "store": "mem", "size": "8M", "layers": [{"kind": "stats"}]}
SLOW = float(os.environ.get("KURA_TEST_SLOW", "1"))
tap = tapout.Tap()


def config(**more):
    return kurad.one_target(TARGET, [VOLUME, OTHER], initiator=HOST, **more)


def busy(k, reads=34, writes=17):
    """A session that has read and written 4 KiB at a time, and made one mistake."""
    host = initiator.Initiator((k.host, k.port), TARGET, 1, HOST)
    host.settle()
    for i in range(reads):
        host.command(initiator.read10(8 * i, 8), read=4096)
    for i in range(writes):
        host.command(initiator.write10(8 * i, 8), write=b"k" * 4096)
    host.command(initiator.read10(0x7fffffff, 8), read=4096)
    return host


def named(rows, **keys):
    """The one row with these members."""
    found = [r for r in rows if all(r.get(k) == v for k, v in keys.items())]
    return found[0] if len(found) == 1 else {}


def check_counts(row, name):
    tap.check(row.get("read_bytes") == 34 * 4096 and row.get("writes") == 17 and
              row.get("write_bytes") == 17 * 4096 and row.get("in_flight") == 0 and
              row.get("read_p99_ns", 0) >= row.get("read_p50_ns", 1), name, str(row))


def test_stats():
    with kurad.Kurad(config()) as k:
        kura = tool.Tool(k)
        host = busy(k)
        stats = kura.json("stats")
        check_counts(named(stats["volumes"], name="m"), "a volume")
        lun = named(stats["luns"], target=TARGET, lun=0, volume="m")
        check_counts(lun, "a LUN")
        tap.check(lun.get("errors_by_cause", {}).get("illegal_request") == 1 and
                  lun.get("reads") == 35 and lun.get("sessions") == 1, "and its errors", str(lun))
        check_counts(named(stats["initiators"], initiator=HOST), "an initiator")
        check_counts(named(stats["sessions"], initiator=HOST, isid="0x00023d000001"), "a session")
        tap.check(sum(l["read_bytes"] for l in stats["loops"]) == 34 * 4096, "the loops",
                  str(stats["loops"]))
        tap.check("layer" in named(stats["volumes"], name="idle"), "a stats layer is shown as well")
        host.close()
        end = time.monotonic() + 20 * SLOW
        while kura.json("stats")["sessions"] and time.monotonic() < end:
            time.sleep(0.02)
        stats = kura.json("stats")
        tap.check(not stats["sessions"], "the session has ended")
        check_counts(named(stats["luns"], target=TARGET, lun=0), "its LUN keeps its counts")
        check_counts(named(stats["initiators"], initiator=HOST), "its initiator as well")
        one = kura.json("stats --volume m")
        tap.check([v["name"] for v in one["volumes"]] == ["m"] and "loops" not in one and
                  [l["lun"] for l in one["luns"]] == [0], "one volume alone", str(one))
        one = kura.json(f"stats --initiator {HOST}")
        tap.check(len(one["initiators"]) == 1 and "volumes" not in one, "one initiator alone")
        tap.check(kura("stats --volume none").code == 3, "a volume that is not there")
        tap.check(re.search(r"^Luns:\n  TARGET +LUN +VOLUME ", kura("stats").out, re.M),
                  "tables for people")
        schema = kura("help --schema").json()
        for verb in ("stats", "top", "metrics", "log level"):
            wrong = tool.fits(schema[verb]["result"], kura.json(verb))
            tap.check(not wrong, f"{verb} answers by its schema", wrong)


def test_refused_logins():
    with kurad.Kurad(config()) as k:
        for target, name in ((TARGET, "iqn.2026-11.kura.test:nobody"), (TARGET + "x", HOST)):
            try:
                initiator.Initiator((k.host, k.port), target, 1, name)
            except initiator.Lost:
                pass
        counters = tool.Tool(k).json("stats")["counters"]
        tap.check(counters["iscsi_logins_refused"] == 2 and
                  counters["iscsi_refused_authorization"] +
                  counters["iscsi_refused_not_found"] == 2, "refused logins have a reason",
                  str({n: v for n, v in counters.items() if "refused" in n}))


def test_top():
    with kurad.Kurad(config()) as k:
        kura = tool.Tool(k)
        host = busy(k)
        rows = tool.Asker(k.path("control")).call("top")["result"]["rows"]
        tap.check(named(rows, kind="lun", name=TARGET, lun=0).get("volume") == "m" and
                  named(rows, kind="host", name=HOST) and named(rows, kind="volume", name="m"),
                  "kurad's own answer has LUNs, hosts and volumes", str(rows))
        watch = subprocess.Popen([tool.binary(), *kura.options, "top", "--interval", "1", "--count",
                                  "2", "--json"], stdout=subprocess.PIPE, text=True)
        while watch.poll() is None:
            host.command(initiator.read10(0, 8), read=4096)
        text = watch.stdout.read()
        looks, at = [], 0
        while text[at:].strip():
            look, used = json.JSONDecoder().raw_decode(text[at:].lstrip())
            looks.append(look["rows"])
            at += len(text[at:]) - len(text[at:].lstrip()) + used
        tap.check(len(looks) == 2, "as many looks as were asked for", text)
        lun = named(looks[-1], kind="lun", lun=0)
        tap.check(lun.get("iops", 0) > 0 and lun["read_bytes"] >= lun["iops"] * 2048 and
                  lun["write_bytes"] == 0 and lun.get("read_p99_ns", 0) > 0,
                  "a LUN that is read now", str(lun))
        tap.check(named(looks[-1], kind="lun", lun=1).get("iops") == 0, "and one that is not")
        tap.check(looks[-1][0].get("iops", 0) > 0, "what is busy comes first", str(looks[-1]))
        done = kura("top --by volume --sort name --interval 1")
        lines = done.out.splitlines()
        tap.check(done.code == 0 and lines[0].split()[:2] == ["KIND", "NAME"] and
                  [l.split()[1] for l in lines[1:]] == ["idle", "m"], "lines", str(done))
        tap.check(kura("top --by disk").code == 2, "a word that is none")
        page, dumb = (subprocess.run(
            ["script", "-qec", " ".join([tool.binary(), *kura.options, "top --count 1"]),
             "/dev/null"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60 * SLOW, check=False, env=dict(os.environ, TERM=term))
            for term in ("xterm", "dumb"))
        tap.check(page.stdout.startswith("\033[?1049h") and "\033[?1049l" in page.stdout and
                  "since kurad was started" in page.stdout, "a page on a terminal",
                  repr(page.stdout))
        tap.check("KIND" in dumb.stdout and "\033" not in dumb.stdout,
                  "lines on a terminal that has no pages", repr(dumb.stdout))
        host.close()


def test_log_level():
    with kurad.Kurad(config()) as k:
        kura = tool.Tool(k)
        tap.check(kura.json("log level") == {"level": "info", "configured": "info"}, "what it is")
        tap.check(kura.json("log level debug")["level"] == "debug", "it is changed")
        host = busy(k, 1, 1)
        tap.check("debug conn: state" in k.log(), "and holds at once", k.log_tail())
        host.close()
        tap.check("log level changed until the end level=debug" in k.log(), "the log tells")
        tap.check(kura(f"portal add 127.0.0.2 --port {k.port}").code == 0 and
                  kura.json("log level")["level"] == "debug", "another change leaves it")
        tap.check(kura.json("log level error") == {"level": "error", "configured": "info"},
                  "the configuration is as it was")
        tap.check(kura("log level loud").code == 2, "no level")


# --- Prometheus -----------------------------------------------------------------------------


def metrics_of(text):
    """{name: type} of all families."""
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))


def sample(text, name, *labels):
    """The value of the one sample with these labels."""
    for line in text.splitlines():
        if re.match(name + r"[{ ]", line) and all(l in line for l in labels):
            return float(line.rsplit(" ", 1)[1])
    return None


def lint(text, name):
    if not shutil.which("promtool"):
        tap.skip(name, "promtool is not here (package prometheus)")
        return
    done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                          capture_output=True, timeout=60 * SLOW, check=False)
    tap.check(done.returncode == 0 and not done.stdout and not done.stderr, name,
              done.stdout + done.stderr)


def check_metrics(text):
    tap.check(sample(text, "kura_lun_commands_total", f'target="{TARGET}"', 'lun="0"',
                     'volume="m"', 'op="write"') == 17, "a LUN's writes")
    tap.check(sample(text, "kura_initiator_bytes_total", f'initiator="{HOST}"', 'op="read"') ==
              34 * 4096, "an initiator's bytes")
    tap.check(sample(text, "kura_session_commands_total", 'isid="0x00023d000001"', 'op="read"')
              == 35, "a session's reads")
    tap.check(sample(text, "kura_volume_operations_total", 'volume="m"', 'op="read"') == 34,
              "a volume's reads")
    tap.check(sample(text, "kura_lun_errors_total", 'error="illegal_request"') == 1, "errors")
    count = sample(text, "kura_lun_latency_seconds_count", 'lun="0"', 'op="read"')
    tap.check(count and sample(text, "kura_lun_latency_seconds_bucket", 'lun="0"', 'op="read"',
                               'le="+Inf"') == count, "a histogram is whole", str(count))


def dashboard():
    with open(os.path.join(kurad.ROOT, "contrib/grafana/kura.json"), encoding="utf-8") as f:
        return json.load(f)


def queries(panels):
    """(title, query) of all panels, as Grafana asks Prometheus."""
    for panel in panels:
        for one in panel.get("targets", ()):
            yield panel["title"], one["expr"].replace("$instance", ".*").replace(
                "$__rate_interval", "20s")
        yield from queries(panel.get("panels", ()))


def check_dashboard(text):
    board = dashboard()
    types = metrics_of(text)
    known = set(types) | {f"{n}_{end}" for n, t in types.items() if t == "histogram"
                          for end in ("bucket", "sum", "count")}
    used = set(re.findall(r"\bkura_\w+", json.dumps(board)))
    tap.check(board["panels"] and used and used <= known, "the dashboard's metrics are all there",
              str(used - known))


def get(address, path, method="GET"):
    http_ = http.client.HTTPConnection(address, timeout=20 * SLOW)
    http_.request(method, path)
    answer = http_.getresponse()
    body = answer.read().decode()
    http_.close()
    return answer.status, answer.getheader("Content-Type"), body


def results(port, query):
    """What Prometheus has for a query: a list, or the error that it tells."""
    text = urllib.parse.urlencode({"query": query})
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{text}",
                                    timeout=5) as answer:
            return json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError:
        return []


def asked(port, query):
    """The value that Prometheus has for a query; None: nothing yet."""
    found = results(port, query)
    return float(found[0]["value"][1]) if found and isinstance(found, list) else None


def check_queries(port, host, log):
    """Each query of the dashboard has an answer, while somebody reads."""
    board = dashboard()
    left = dict.fromkeys(queries(board["panels"]))
    count, end = len(left), time.monotonic() + 60 * SLOW
    while left and time.monotonic() < end:
        host.command(initiator.read10(0, 8), read=4096)
        for query in list(left):
            left[query] = results(port, query[1])
            if left[query] and isinstance(left[query], list):
                del left[query]
        time.sleep(0.2)
    with open(log, encoding="utf-8") as f:
        tap.check(count > 15 and not left, "each query of the dashboard is answered",
                  f"{left}\n{f.read()[-2000:]}")
    tap.check(asked(port, 'sum(rate(kura_lun_commands_total{op="read"}[20s]))') > 0,
              "by what is so: somebody reads")
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            label = re.match(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
            found = results(port, label[1])
            tap.check(found and all(label[2] in f["metric"] for f in found),
                      "and its choice has something to choose from", str(found))


def check_prometheus(k, address, host):
    if not shutil.which("prometheus"):
        tap.skip("prometheus scrapes it", "prometheus is not here")
        return
    port = kurad.free_port()
    with open(k.path("prometheus.yml"), "w", encoding="utf-8") as f:
        f.write("global: { scrape_interval: 1s }\nscrape_configs:\n  - job_name: kura\n"
                f"    static_configs: [ {{ targets: [ '{address}' ] }} ]\n")
    with open(k.path("prometheus.log"), "wb") as log:
        server = subprocess.Popen(
            ["prometheus", "--config.file=" + k.path("prometheus.yml"),
             "--storage.tsdb.path=" + k.path("tsdb"), f"--web.listen-address=127.0.0.1:{port}"],
            stdout=log, stderr=log, preexec_fn=kurad.die_with_parent)
    try:
        end, value = time.monotonic() + 60 * SLOW, None
        while value is None and time.monotonic() < end and server.poll() is None:
            time.sleep(0.2)
            value = asked(port, 'sum(kura_lun_commands_total{op="write"})')
        with open(k.path("prometheus.log"), encoding="utf-8") as f:
            tap.check(value == 17 and asked(port, "up") == 1, "prometheus scrapes it",
                      f"{value}\n{f.read()[-2000:]}")
        check_queries(port, host, k.path("prometheus.log"))
    finally:
        server.terminate()
        server.wait(20)


def test_metrics():
    with kurad.Kurad(config(metrics="0")) as k:
        host = busy(k)
        done = tool.Tool(k)("metrics")
        lint(done.out, "promtool finds nothing")
        check_metrics(done.out)
        check_dashboard(done.out)
        address = re.search(r"metrics listening address=(\S+)", k.log())[1]
        status, kind, text = get(address, "/metrics")
        tap.check(address.startswith("127.0.0.1:") and status == 200 and
                  kind.startswith("text/plain; version=0.0.4") and
                  metrics_of(text) == metrics_of(done.out), "the same over HTTP", text[:300])
        tap.check(get(address, "/")[0] == 200 and get(address, "/x")[0] == 404 and
                  get(address, "/metrics", "POST")[0] == 405, "and nothing else")
        check_prometheus(k, address, host)
        host.close()


def answers(address):
    try:
        return get(address, "/")[0] == 200
    except OSError:
        return False


def test_moved():
    """The key changes while kurad runs: by a signal, and by kura apply; a session stays."""
    with kurad.Kurad(config(metrics="0")) as k:
        kura = tool.Tool(k)
        host = initiator.Initiator((k.host, k.port), TARGET, 1, HOST)

        def places():
            return re.findall(r"metrics listening address=(\S+)", k.log())

        def apply(**more):
            with open(k.config_path, "w", encoding="utf-8") as f:
                f.write(config(**more))
            return tool.ask(kura, "apply", k.config_path)

        code, answer = apply(metrics="0")
        tap.check(code == 0 and answer["steps"] == [] and answers(places()[0]) and
                  len(places()) == 1, "the same key is nothing to do", str(answer))
        code, answer = apply()
        tap.check(code == 0 and [(s["step"], s["state"]) for s in answer["steps"]] ==
                  [("change_option", "done")] and not answers(places()[0]), "it goes", str(answer))
        port = kurad.free_port()
        code, answer = apply(metrics=f"127.0.0.1:{port}")
        tap.check(code == 0 and answers(f"127.0.0.1:{port}"), "it comes", f"{answer}\n{k.log_tail()}")
        code, answer = apply(metrics=f"127.0.0.2:{port}")
        tap.check(code == 0 and answers(f"127.0.0.2:{port}") and not answers(f"127.0.0.1:{port}"),
                  "it moves", str(answer))
        with socket.socket() as taken:
            taken.bind(("127.0.0.2", 0))
            taken.listen()
            other = taken.getsockname()[1]
            code, text = apply(metrics=f"127.0.0.2:{other}", queue_depth=9)
            tap.check(code == 1 and f"metrics = \"127.0.0.2:{other}\"" in text and
                      answers(f"127.0.0.2:{port}"), "one that is in use: all is as it was", text)
            tap.check("queue_depth = 9" not in kura("export").out, "also what else was changed")
        with open(k.config_path, "w", encoding="utf-8") as f:
            f.write(config(metrics=f"127.0.0.1:{port}"))
        os.kill(k.process.pid, signal.SIGHUP)
        tap.check(wait_for(lambda: "configuration followed" in k.log()) and
                  answers(f"127.0.0.1:{port}") and not answers(f"127.0.0.2:{port}"), "by a signal",
                  k.log_tail())
        host.settle()
        tap.check(host.command(bytes(6))[0] == initiator.GOOD, "the session has seen nothing")
        host.close()


test_stats()
test_refused_logins()
test_top()
test_log_level()
test_metrics()
test_moved()
sys.exit(tap.done())
