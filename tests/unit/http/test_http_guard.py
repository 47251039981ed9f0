"""Which addresses count as public."""

from __future__ import annotations

import socket

import pytest

from kasparro_adapters.http.guard import PrivateAddressError, guarded_socket, is_public


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1",
        "192.0.0.1", "192.0.0.192", "168.63.129.16", "::ffff:192.0.0.192",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:10.1.2.3", "2002:7f00:1::", "2002:c0a8:101::1", "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe", "fec0::1", "2001::1", "2001:0:7f00:1::f5ff:fffd",
    ],
)  # fmt: skip
def test_addresses_of_this_network_are_not_public(address):
    """Loopback, private, link-local, shared, multicast and reserved addresses are refused, wrapped ones too."""
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "104.18.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_addresses_of_the_internet_are_public(address):
    """Global addresses pass, wrapped ones too."""
    assert is_public(address)


def test_the_socket_itself_is_refused():
    """No socket is made for a private address; a public one gets its socket."""
    with pytest.raises(PrivateAddressError, match=r"127\.0\.0\.1"):
        guarded_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80)))
    with guarded_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 80))) as sock:
        assert sock.family == socket.AF_INET
