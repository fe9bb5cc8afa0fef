"""Clients that offer HTTP/2 in clear text with their first request, as every JDK client does, are served HTTP/1.1."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.proxy_server import Proxy

pytestmark = pytest.mark.clients

BODY = json.dumps({"model": "model-a", "messages": [{"role": "user", "content": "Hi"}]})
JAVA = """
import java.net.URI;
import java.net.http.*;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;

class Ask {
    public static void main(String[] args) throws Exception {
        var client = HttpClient.newHttpClient();
        for (int number = 0; number < 3; number++) {
            var body = number == 1
                ? BodyPublishers.fromPublisher(BodyPublishers.ofString(args[1]))  // in chunks
                : BodyPublishers.ofString(args[1]);
            var request = HttpRequest.newBuilder(URI.create(args[0] + "/v1/chat/completions"))
                .header("Content-Type", "application/json").header("Authorization", "Bearer sk-alice")
                .POST(body).build();
            var response = client.send(request, BodyHandlers.ofString());
            System.out.println(response.version() + " " + response.statusCode());
        }
    }
}
"""


@pytest.mark.skipif(shutil.which("java") is None, reason="no JDK")
def test_the_jdks_http_client(proxy: Proxy, tmp_path: Path) -> None:
    """Three requests over its connections, one of them in chunks."""
    (tmp_path / "Ask.java").write_text(JAVA)
    command = ["java", str(tmp_path / "Ask.java"), proxy.url, BODY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.split("\n") == ["HTTP_1_1 200"] * 3 + [""], done.stderr


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_curl_with_http2(proxy: Proxy) -> None:
    """Its `--http2` over http:// is an offer too."""
    url = f"{proxy.url}/v1/chat/completions"
    headers = ["-H", "Content-Type: application/json", "-H", "Authorization: Bearer sk-alice"]
    command = ["curl", "-sS", "--http2", "-w", " %{http_version} %{http_code}", *headers, "-d", BODY, url]
    done = subprocess.run([*command, url], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.count(" 1.1 200") == 2, done.stdout + done.stderr
    assert " 400" not in done.stdout
