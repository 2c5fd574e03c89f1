"""Imported by run.py in each kernel, before the first cell: from here on, nothing but this machine itself can be reached.

A lesson must run on a laptop without a network. So what looks up or calls another machine stops with a sentence. It is seen in
Python's own sockets (getaddrinfo, connect); what another program does, that a lesson starts, is not.
"""
import sys

HERE = {"localhost", "127.0.0.1", "::1", "0.0.0.0", "", None}


def look(event, arguments):
    """Raise OSError for a name that is looked up, or an address that is called, on another machine."""
    host = None
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):         # a path is a socket of this machine
        host = arguments[1][0]
    if (host.decode() if isinstance(host, bytes) else host) not in HERE:
        raise OSError(f"a lesson must run without a network, but it wants to reach {host}.")


sys.addaudithook(look)
