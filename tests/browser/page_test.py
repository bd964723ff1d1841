#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""page_test.py PROGRAM MODEL [FOLDER]: the server's page in a real browser without a screen; pictures go to FOLDER.

Exit status 77: skipped, where no Chromium is installed."""
import json
import os
import subprocess
import sys
import time
import urllib.request

from devtools import Browser, find_browser

KEY = "a-key"
PROMPT = "It was a dark and"


def shoot(browser, name):
    if len(sys.argv) > 3:
        browser.screenshot(os.path.join(sys.argv[3], name + ".png"))


def ask(address, path, body=None):
    request = urllib.request.Request(address + path, data=json.dumps(body).encode() if body else None,
                                     headers={"Authorization": "Bearer " + KEY})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


def set_value(browser, name, value):
    browser.evaluate(f"""(() => {{ const e = document.getElementById("{name}"); e.value = {json.dumps(value)};
        e.dispatchEvent(new Event("input")); }})()""")


def done(browser):
    browser.wait("!document.getElementById('send').disabled && document.getElementById('stop').hidden")


def text_of(browser, selector):
    return browser.evaluate(f"document.querySelector('{selector}').textContent")


def check_key(browser, model):
    browser.wait("!document.getElementById('trouble').hidden")
    assert "API key" in text_of(browser, "#trouble"), text_of(browser, "#trouble")
    assert browser.evaluate("document.activeElement.id") == "key", "the page leads to the key's field"
    shoot(browser, "key")
    browser.faults.clear()  # the console speaks of the 401, as it should
    browser.type(KEY)
    browser.press("Enter", 13)
    browser.evaluate("document.activeElement.blur()")
    browser.wait(f"document.getElementById('model').textContent === {json.dumps(model)}")
    browser.wait("document.getElementById('light').classList.contains('on')")
    assert browser.evaluate("document.getElementById('trouble').hidden")
    browser.click("#toggle-settings")


def check_chat(browser):
    assert browser.evaluate("document.getElementById('mode-chat').ariaSelected") == "true", "the model has a template"
    set_value(browser, "max_tokens", "24")
    browser.evaluate("document.getElementById('message').focus()")
    browser.type("Who are you? <b>&amp;</b>")
    browser.press("Enter", 13)
    browser.wait("document.querySelector('.turn.assistant') !== null")
    done(browser)
    assert text_of(browser, ".turn.user") == "Who are you? <b>&amp;</b>", "text is no HTML"
    assert text_of(browser, ".turn.assistant"), "no answer"
    figures = text_of(browser, "#figures")
    assert "first token" in figures and "tokens/s" in figures and "prompt" in figures, figures
    browser.type("And now?")
    shoot(browser, "chat")
    browser.click("#send")
    browser.wait("document.querySelectorAll('.turn.assistant').length === 2")
    done(browser)
    assert "kept" in text_of(browser, "#figures"), "the second turn goes on from a kept state: " + text_of(browser, "#figures")


def check_completion(browser, address, model):
    browser.click("#mode-completion")
    for name, value in [("temperature", "0"), ("repetition_penalty", "1"), ("top_p", "1"), ("max_tokens", "20")]:
        set_value(browser, name, value)
    browser.type(PROMPT)
    browser.click("#send")
    browser.wait(f"document.getElementById('text').value !== {json.dumps(PROMPT)}")
    done(browser)
    body = {"model": model, "prompt": PROMPT, "temperature": 0, "max_tokens": 20}
    expected = json.loads(ask(address, "/v1/completions", body))["choices"][0]["text"]
    shown = browser.evaluate("document.getElementById('text').value")
    assert shown == PROMPT + expected, (shown, expected)
    shoot(browser, "completion")
    browser.click("#undo")
    assert browser.evaluate("document.getElementById('text').value") == PROMPT


def running(address):
    line = next(l for l in ask(address, "/metrics").splitlines() if l.startswith("quamba2:num_requests_running"))
    return float(line.split()[-1])


def check_stop_and_errors(browser, address):
    set_value(browser, "max_tokens", "100000")
    set_value(browser, "temperature", "1")
    browser.click("#send")
    browser.wait("document.getElementById('text').value.length > 60")
    shoot(browser, "growing")
    browser.click("#stop")
    done(browser)
    length = browser.evaluate("document.getElementById('text').value.length")
    deadline = time.monotonic() + 30
    while running(address) > 0:
        assert time.monotonic() < deadline, "the request goes on"
        time.sleep(0.1)
    assert browser.evaluate("document.getElementById('text').value.length") == length
    assert not browser.faults, browser.faults
    set_value(browser, "max_tokens", "1000000000")
    browser.click("#send")
    browser.wait("!document.getElementById('trouble').hidden")
    assert "max_tokens" in text_of(browser, "#trouble"), text_of(browser, "#trouble")
    shoot(browser, "refused")
    browser.faults.clear()  # the console speaks of the 400
    browser.click("#clear")
    assert browser.evaluate("document.getElementById('text').value") == ""


def check_themes(browser):
    def paper():
        return browser.evaluate("getComputedStyle(document.body).backgroundColor")

    def system(scheme):
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    system("light")
    light = paper()
    system("dark")
    dark = paper()
    assert light != dark, light
    browser.click("#mode-chat")
    browser.click("#toggle-settings")
    shoot(browser, "dark")
    browser.click("#toggle-settings")
    browser.click("#theme")
    assert paper() == light, "light, whatever the system says"
    browser.click("#theme")
    system("light")
    assert paper() == dark, "dark, whatever the system says"
    browser.call("Emulation.setDeviceMetricsOverride", width=390, height=780, deviceScaleFactor=1, mobile=True)
    overflow = browser.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0, f"the page is {overflow} pixels wider than a telephone"
    shoot(browser, "narrow")


def main():
    program, path = sys.argv[1:3]
    chromium = find_browser()
    if not chromium:
        print("SKIP: no Chromium is installed")
        sys.exit(77)
    server = subprocess.Popen([program, "serve", path, "--port", "0", "--api-key", KEY, "--chat-template", "chatml"],
                              stdout=subprocess.PIPE, text=True)
    browser = None
    try:
        model, _, address = server.stdout.readline().split()
        browser = Browser(chromium)
        browser.open(address + "/")
        check_key(browser, model)
        check_chat(browser)
        check_completion(browser, address, model)
        check_stop_and_errors(browser, address)
        check_themes(browser)
        assert not browser.faults, browser.faults
        strangers = [url for url in browser.requests if not url.startswith((address + "/", "data:"))]
        assert browser.requests and not strangers, strangers
        print("ok")
    finally:
        if browser:
            browser.close()
        server.terminate()
    code = server.wait(timeout=60)
    assert code == 0, f"the server ended with {code}"


main()
