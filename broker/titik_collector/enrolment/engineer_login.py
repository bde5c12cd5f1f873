"""A login for tools of all kinds: where the broker is, who reads, and lines to type.

Rule: a line is quoted by the rules of its shell, so nothing in a password is obeyed.
Rule: Windows gets no line where one of its shells would pass another password.
"""

import shlex

from titik_wire import topics

CA_FILE = "ca.crt"
PROGRAM = r"C:\Program Files\mosquitto\mosquitto_sub.exe"  # where its installer for Windows puts it
_LEFT_OUT = '"%'  # PowerShell 5 and 7 do not agree on the quote; cmd replaces %NAME%


def lines(name: str, host: str, port: int, password: str) -> list[str]:
    """What an engineer needs beside the authority's certificate, which they keep as `CA_FILE`."""
    return [
        f"  host      {host}",
        f"  port      {port}",
        f"  user      {name}",
        f"  password  {password}",
        "",
        "MQTT Explorer: these four, mqtt://, Validate certificate and Encryption (tls) on. Under",
        f"Advanced the MQTT Client ID is {topics.CLIENT_ID}{name}, for the broker takes no other",
        f"beginning. Under Certificates {CA_FILE} is the Server Certificate (CA).",
        "",
        f"mosquitto_sub, in the folder of {CA_FILE}:",
        "  Linux, macOS",
        f"    {in_sh(name, host, port, password)}",
        *_in_windows(name, host, port, password),
    ]


def in_sh(name: str, host: str, port: int, password: str) -> str:
    """For sh, bash and zsh."""
    pairs = _pairs(name, host, port, password)
    return " ".join(["mosquitto_sub", "-v", *(f"{one} {shlex.quote(its)}" for one, its in pairs)])


def in_cmd(name: str, host: str, port: int, password: str) -> str:
    """For Windows' Command Prompt: between double quotes `&` and `^` are themselves."""
    pairs = _pairs(name, host, port, password)
    return " ".join([f'"{PROGRAM}"', "-v", *(f'{one} "{its}"' for one, its in pairs)])


def in_powershell(name: str, host: str, port: int, password: str) -> str:
    """Between single quotes `$` is itself and `'` is doubled; `&` runs what is quoted."""
    doubled = [(one, its.replace("'", "''")) for one, its in _pairs(name, host, port, password)]
    return " ".join([f"& '{PROGRAM}'", "-v", *(f"{one} '{its}'" for one, its in doubled)])


def is_for_windows(password: str) -> bool:
    """Both shells pass it as it is. The program reads no text beyond ASCII there."""
    is_plain = password.isascii() and password.isprintable()
    return is_plain and not set(password) & set(_LEFT_OUT) and not password.endswith("\\")


def _in_windows(name: str, host: str, port: int, password: str) -> list[str]:
    if not is_for_windows(password):
        return [
            "  Windows: its shells would change this password. For another one remove the file",
            f"    secrets/{name}.password of the broker's folder, and add {name} again.",
        ]
    return [
        "  Windows, Command Prompt",
        f"    {in_cmd(name, host, port, password)}",
        "  Windows, PowerShell",
        f"    {in_powershell(name, host, port, password)}",
    ]


def _pairs(name: str, host: str, port: int, password: str) -> list[tuple[str, str]]:
    """Options with their values."""
    login = [("-h", host), ("-p", str(port)), ("-u", name), ("-P", password)]
    return [*login, ("--cafile", CA_FILE), ("-t", topics.ALL_NOW)]
