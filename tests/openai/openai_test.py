#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""openai_test.py PROGRAM MODEL: the Python package `openai`, unchanged, against a server of our own on the loopback.

Exit status 77: skipped, where the package is absent."""
import subprocess
import sys

try:
    import openai
except ImportError:
    print("SKIP: the Python package openai is not installed")
    sys.exit(77)

PROMPT = "It was a dark and"


def completions(client, model):
    whole = client.completions.create(model=model, prompt=PROMPT, max_tokens=12, temperature=0)
    assert whole.choices[0].finish_reason == "length", whole
    assert whole.usage.completion_tokens == 12, whole.usage
    stream = client.completions.create(model=model, prompt=PROMPT, max_tokens=12, temperature=0, stream=True,
                                       stream_options={"include_usage": True})
    chunks = list(stream)
    assert "".join(c.choices[0].text for c in chunks if c.choices) == whole.choices[0].text, chunks
    assert chunks[-1].usage == whole.usage or chunks[-1].usage.total_tokens == whole.usage.total_tokens, chunks[-1]
    scored = client.completions.create(model=model, prompt=PROMPT, max_tokens=1, temperature=0, logprobs=2, echo=True)
    lists = scored.choices[0].logprobs
    assert len(lists.tokens) == scored.usage.prompt_tokens + 1, lists
    assert lists.token_logprobs[0] is None and all(v <= 0 for v in lists.token_logprobs[1:]), lists
    assert "".join(lists.tokens) == scored.choices[0].text, lists


def chat(client, model):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    whole = client.chat.completions.create(model=model, messages=messages, max_completion_tokens=10, temperature=0,
                                           logprobs=True, top_logprobs=3)
    assert whole.choices[0].message.role == "assistant", whole
    content = whole.choices[0].logprobs.content
    assert len(content) == whole.usage.completion_tokens and len(content[0].top_logprobs) == 3, content
    stream = client.chat.completions.create(model=model, messages=messages, max_completion_tokens=10, temperature=0,
                                            stream=True)
    text = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
    assert text == whole.choices[0].message.content, text


def errors(client, model):
    for arguments, kind in [(dict(model="other", prompt="a"), openai.NotFoundError),
                            (dict(model=model, prompt="a", temperature=-1), openai.BadRequestError)]:
        try:
            client.completions.create(**arguments)
        except kind as e:
            assert e.body["message"], e.body
        else:
            raise AssertionError(f"{arguments} was taken")
    try:
        openai.OpenAI(base_url=client.base_url, api_key="wrong", max_retries=0).models.list()
    except openai.AuthenticationError:
        return
    raise AssertionError("a wrong key was taken")


def main():
    program, path = sys.argv[1:3]
    server = subprocess.Popen([program, "serve", path, "--port", "0", "--api-key", "k", "--chat-template", "chatml"],
                              stdout=subprocess.PIPE, text=True)
    try:
        model, _, address = server.stdout.readline().split()
        client = openai.OpenAI(base_url=address + "/v1", api_key="k", max_retries=0, timeout=120)
        assert [m.id for m in client.models.list()] == [model]
        assert client.models.retrieve(model).id == model
        for test in (completions, chat, errors):
            test(client, model)
            print("ok:", test.__name__)
    finally:
        server.terminate()
    code = server.wait(timeout=60)
    assert code == 0, f"the server ended with {code}"


main()
