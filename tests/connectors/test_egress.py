"""Which targets may be called: spellings, lists, lookups, and what no list opens."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connectors.egress import EgressBlocked, EgressPolicy, is_address_of_this_machine
from app.net.addresses import NOT_PUBLIC, is_public
from app.net.target import BadTarget, Target, parse_target


def allows(policy: EgressPolicy, url: str, *addresses: str, own: tuple[str, ...] = ()) -> bool:
    """Whether the policy lets `url` through when its name has these addresses."""
    target = parse_target(url)
    answer = [ipaddress.ip_address(a) for a in addresses] or ([target.address] if target.address else [])
    try:
        policy.check_target(target)
        policy.check_addresses(target, answer, [ipaddress.ip_address(a) for a in own])
    except EgressBlocked:
        return False
    return True


def policy(allow: str = "", production: bool = False, **more: object) -> EgressPolicy:
    return EgressPolicy(allow, production=production, is_own_address=lambda _: False, **more)  # type: ignore[arg-type]


# Reading a URL.


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.test", Target("https", "a.test", 443, "/")),
        ("HTTPS://A.Test:8443/Path?q=1", Target("https", "a.test", 8443, "/Path", "q=1")),
        ("http://a.test./x", Target("http", "a.test", 80, "/x")),
        ("https://a.test?x=/y", Target("https", "a.test", 443, "/", "x=/y")),
        ("https://my_service/%C3%A9?", Target("https", "my_service", 443, "/%C3%A9", "")),
        ("https://10.0.0.1/", Target("https", "10.0.0.1", 443, "/", None, ipaddress.ip_address("10.0.0.1"))),
        ("https://[::0:1]:9/", Target("https", "::1", 9, "/", None, ipaddress.ip_address("::1"))),
        ("https://a.test/.well-known/..hidden", Target("https", "a.test", 443, "/.well-known/..hidden")),
    ],
)
def test_a_plain_address_is_read(url: str, expected: Target) -> None:
    assert parse_target(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.test",
        "//a.test",
        "https:a.test",
        "https:/a.test",
        "https:///path",
        "https://",
        "ftp://a.test",
        "file:///etc/passwd",
        "gopher://a.test",
        "javascript:alert(1)",
        " https://a.test",
        "https://a.test ",
        "https://a.test/a b",
        "https://a.test/\n",
        "https://a.test\r\nHost: b",
        "https://a.test/\x00",
        "https://a.test\t/",
        "https://a.test\\@b.test/",
        "https://a.test/\\..\\x",
        "https://user@a.test/",
        "https://user:pass@a.test/",
        "https://@a.test/",
        "https://a.test#@b.test/",
        "https://a.test/#fragment",
        "https://a%2etest/",
        "https://%61.test/",
        "https://127.0.0.1%00.a.test/",
        "https://[fe80::1%25eth0]/",
        "https://[::1",
        "https://[::1]x",
        "https://[::1]:",
        "https://[::1]]:80",
        "https://[1.2.3.4]/",
        "https://::1/",
        "https://a.test:80:90/",
        "https://a.test:",
        "https://a.test:0/",
        "https://a.test:65536/",
        "https://a.test:+80/",
        "https://a.test:8_0/",
        "https://a.test:٨٠/",
        "https://a..test/",
        "https://.a.test/",
        "https://a.test../",
        "https://-a.test/",
        "https://a*.test/",
        "https://é.test/",
        "https://ⓛocalhost/",
        "https://127。0。0。1/",
        "https://" + "a" * 64 + ".test/",
        "https://" + "a." * 130 + "test/",
        "https://127.1/",
        "https://127.0.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://017700000001/",
        "https://127.0.0.01/",
        "https://127.0.0.1.1/",
        "https://256.0.0.1/",
        "https://a.test.1/",
        "https://0x/",
        "https://a.test/../x",
        "https://a.test/x/..",
        "https://a.test/./x",
        "https://a.test/%2e%2E/x",
        "https://a.test/x/.%2e",
        "https://a.test/%zz",
        "https://a.test/%",
    ],
)
def test_an_address_that_could_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(BadTarget):
        parse_target(url)


@given(st.text(max_size=40))
def test_any_text_after_the_scheme_is_read_or_refused(text: str) -> None:
    try:
        target = parse_target("https://" + text)
    except BadTarget:
        return
    assert target.host
    assert target.host in text.lower() or target.address is not None


# What is public, with an empty list.


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00::1"]
)
def test_public_targets_need_https_and_nothing_else(address: str) -> None:
    assert allows(policy(), "https://api.test/", address)
    assert not allows(policy(), "http://api.test/", address)


DENIED = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254",
    "169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.0.170", "192.0.2.1",
    "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16", "100.100.100.200",
    "::", "::1", "::127.0.0.1", "::7f00:1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:7f00:1",
    "::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b::8.8.8.8",
    "64:ff9b:1::1",
    "64:ff9b:1:a00:0:100::", "100::1", "2001::1", "2001:0:7f00:1::", "2001:2::1", "2001:10::1", "2001:20::1",
    "2001:db8::1", "2002:7f00:1::", "2002:0a00:0001::1", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1",
    "fd00::1", "fd00:ec2::254", "fe80::1", "febf::1", "fec0::1", "feff::1", "ff02::1", "ff0e::1", "4000::1",
    "a000::1", "e000::1",
]  # fmt: skip


@pytest.mark.parametrize("address", DENIED)
def test_an_address_that_is_not_public_is_refused_as_literal_and_as_answer(address: str) -> None:
    literal = f"[{address}]" if ":" in address else address
    assert not allows(policy(), f"https://{literal}/")
    assert not allows(policy(), "https://name.test/", address)
    assert not allows(policy(), "https://name.test/", "8.8.8.8", address)
    assert not allows(policy(), "https://name.test/", address, "8.8.8.8")


@given(st.ip_addresses())
def test_what_python_calls_private_is_never_public_here(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if address.is_private or address.is_multicast or address.is_reserved or address.is_link_local:
        assert not is_public(address)


@given(st.data())
def test_every_address_of_a_listed_network_is_refused(data: st.DataObject) -> None:
    network = data.draw(st.sampled_from(NOT_PUBLIC))
    address = data.draw(st.ip_addresses(network=network))
    assert not allows(policy(), "https://name.test/", str(address))


def test_a_name_without_addresses_is_refused() -> None:
    with pytest.raises(EgressBlocked):
        policy().check_addresses(parse_target("https://name.test"), [])


# What the list opens.


@pytest.mark.parametrize(
    ("allow", "url", "addresses", "allowed"),
    [
        ("app.corp", "http://app.corp/", ["10.1.2.3"], True),
        ("app.corp", "https://app.corp:8443/", ["fd12::1"], True),
        ("app.corp", "http://app.corp/", ["100.64.1.1"], True),
        ("app.corp", "http://app.corp/", ["8.8.8.8"], True),
        ("APP.Corp.", "https://app.corp/", ["10.1.2.3"], True),
        ("app.corp", "https://other.corp/", ["10.1.2.3"], False),
        ("app.corp", "https://x.app.corp/", ["10.1.2.3"], False),
        ("app.corp:8080", "http://app.corp:8080/", ["10.1.2.3"], True),
        ("app.corp:8080", "http://app.corp:8081/", ["10.1.2.3"], False),
        ("app.corp", "http://app.corp/", ["10.1.2.3", "169.254.1.1"], False),
        ("app.corp", "http://app.corp/", ["169.254.169.254"], False),
        ("app.corp", "http://app.corp/", ["::ffff:10.1.2.3"], False),
        ("app.corp", "http://app.corp/", ["224.0.0.1"], False),
        ("app.corp", "http://app.corp/", ["0.0.0.0"], False),
        ("10.0.0.0/8", "http://10.9.9.9:81/", [], True),
        ("10.0.0.0/8", "http://name.test/", ["10.9.9.9"], True),
        ("10.0.0.0/8", "http://name.test/", ["10.9.9.9", "8.8.8.8"], False),
        ("10.0.0.0/8", "https://name.test/", ["10.9.9.9", "8.8.8.8"], True),
        ("10.0.0.0/8", "https://name.test/", ["10.9.9.9", "192.168.0.1"], False),
        ("10.0.0.0/8", "http://11.0.0.1/", [], False),
        ("10.0.0.0/8", "http://[::ffff:10.0.0.1]/", [], False),
        ("10.0.0.5", "http://10.0.0.5:99/", [], True),
        ("10.0.0.5:80", "http://10.0.0.5/", [], True),
        ("10.0.0.5:80", "http://10.0.0.5:81/", [], False),
        ("10.0.0.5:80", "http://name.test:80/", ["10.0.0.5"], True),
        ("[::1]:9000", "http://[::1]:9000/", [], True),
        ("[::1]:9000", "http://[::1]:9001/", [], False),
        ("::1", "http://[0:0::1]:5/", [], True),
        ("fd12::/16", "http://[fd12::5]/", [], True),
        ("fd12::/16", "http://[fd13::5]/", [], False),
        ("localhost:9000", "http://localhost:9000/", ["127.0.0.1", "::1"], True),
        ("localhost:9000", "http://127.0.0.1:9000/", [], False),
        ("127.0.0.1:9000", "http://localhost:9000/", ["127.0.0.1"], True),
        ("127.0.0.1:9000", "http://localhost:9000/", ["127.0.0.1", "::1"], False),
        ("169.254.10.0/24", "http://169.254.10.1/", [], True),
        (" 10.0.0.1 ,, app.corp:1 ", "http://app.corp:1/", ["10.9.9.9"], True),
        ("64:ff9b::/96", "https://[64:ff9b::8.8.8.8]/", [], True),
    ],
)
def test_the_list_opens_what_it_names_and_no_more(
    allow: str, url: str, addresses: list[str], allowed: bool
) -> None:
    assert allows(policy(allow), url, *addresses) is allowed


METADATA = [
    "169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254",
    "::ffff:169.254.169.254", "::169.254.169.254", "::ffff:0:169.254.169.254", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1", "2001:0:a9fe:a9fe::",
    "2001::5601:5601", "0.0.0.0", "::",
]  # fmt: skip


@pytest.mark.parametrize("address", METADATA)
def test_no_list_opens_cloud_metadata_in_any_spelling(address: str) -> None:
    everything = policy("0.0.0.0/0, ::/0, name.test, metadata.corp")
    literal = f"[{address}]" if ":" in address else address
    assert not allows(everything, f"http://{literal}/")
    assert not allows(everything, "http://name.test/", address)


@pytest.mark.parametrize("name", ["metadata.google.internal", "METADATA.google.internal.", "instance-data"])
def test_metadata_names_are_refused_even_where_they_lead_elsewhere(name: str) -> None:
    assert not allows(policy("0.0.0.0/0"), f"http://{name}/", "10.0.0.1")


@pytest.mark.parametrize(
    ("allow", "hint"),
    [
        ("http://app.corp", "scheme"),
        ("app corp", "name"),
        ("*.corp", "name"),
        ("10.0.0.1/8", "host bits"),
        ("10.0.0.0/33", "network"),
        ("app.corp:0", "port"),
        ("app.corp:http", "port"),
        ("app.corp:", "port"),
        ("127.1", "four plain numbers"),
        ("[::1", "IPv6"),
        ("::1::", "network"),
        ("[::1]x", "after the host"),
        ("user@app.corp", "name"),
        ("app.corp/path", "network"),
        ("169.254.169.254", "metadata"),
        ("169.254.169.254:80", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("metadata.google.internal", "metadata"),
        ("0.0.0.0", "never"),
        ("::/128", "never"),
    ],
)
def test_an_entry_that_cannot_be_used_is_named_in_one_line(allow: str, hint: str) -> None:
    with pytest.raises(ValueError, match=r"^'") as caught:
        policy(f"10.0.0.0/8,{allow}")
    message = str(caught.value)
    assert hint in message
    assert repr(allow) in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "entry",
    [
        "localhost",
        "app.localhost",
        "127.0.0.1",
        "127.0.0.0/8",
        "::1",
        "[::1]",
        "::ffff:127.0.0.1",
        "0.0.0.0/0",
        "::/0",
    ],
)
def test_in_production_an_entry_for_loopback_must_name_a_port(entry: str) -> None:
    assert policy(entry)
    with pytest.raises(ValueError, match="must name a port"):
        policy(entry, production=True)


def test_in_production_loopback_opens_by_port_and_by_its_own_name_only() -> None:
    listed = policy("127.0.0.1:9000, localhost:9001, app.corp:9002", production=True)
    assert allows(listed, "http://127.0.0.1:9000/")
    assert allows(listed, "http://localhost:9001/", "127.0.0.1")
    assert not allows(listed, "http://app.corp:9002/", "127.0.0.1")
    assert allows(policy("app.corp:9002"), "http://app.corp:9002/", "127.0.0.1")


# The console's own endpoints.


@pytest.mark.parametrize(
    ("forbidden", "url", "addresses"),
    [
        (("127.0.0.1", 6379), "http://127.0.0.1:6379/", []),
        (("127.0.0.1", 6379), "http://localhost:6379/", ["127.0.0.1"]),
        (("localhost", 6379), "http://127.0.0.9:6379/", []),
        (("localhost", 6379), "http://[::1]:6379/", []),
        (("LOCALHOST.", 6379), "http://[::ffff:127.0.0.1]:6379/", []),
        (("0.0.0.0", 8000), "http://127.0.0.1:8000/", []),
        (("::", 8000), "http://127.0.0.1:8000/", []),
        (("", 8000), "http://127.0.0.1:8000/", []),
        (("db", 5432), "http://db:5432/", ["10.0.0.3"]),
        (("10.0.0.3", 5432), "http://db:5432/", ["10.0.0.3"]),
        (("10.0.0.3", 5432), "http://10.0.0.3:5432/", []),
        (("10.0.0.3", 5432), "http://[64:ff9b::10.0.0.3]:5432/", []),
        (("console.corp", 443), "https://console.corp/", ["8.8.8.8"]),
    ],
)
def test_the_console_s_own_endpoints_stay_closed_whatever_is_listed(
    forbidden: tuple[str, int], url: str, addresses: list[str]
) -> None:
    allow = "0.0.0.0/0, ::/0, localhost, db, 127.0.0.1:6379, 127.0.0.1:8000"
    assert not allows(policy(allow, forbidden=[forbidden]), url, *addresses)
    assert allows(policy(allow, forbidden=[(forbidden[0], 1)]), url, *addresses)


def test_an_own_endpoint_known_by_name_is_recognised_by_its_address() -> None:
    listed = policy("10.0.0.0/8", forbidden=[("db", 5432)])
    assert listed.own_names(5432) == ["db"]
    assert listed.own_names(80) == []
    assert not allows(listed, "http://10.0.0.3:5432/", own=("10.0.0.3",))
    assert allows(listed, "http://10.0.0.4:5432/", own=("10.0.0.3",))


def test_a_service_of_this_machine_is_closed_on_all_of_its_addresses() -> None:
    mine = ipaddress.ip_address("192.168.1.5")
    listed = EgressPolicy(
        "192.168.0.0/16", forbidden=[("127.0.0.1", 8000)], is_own_address=lambda address: address == mine
    )
    assert not allows(listed, "http://192.168.1.5:8000/")
    assert allows(listed, "http://192.168.1.6:8000/")
    assert allows(listed, "http://192.168.1.5:8001/")


def test_a_name_that_shares_the_console_s_address_on_443_is_another_application() -> None:
    listed = policy("10.0.0.0/8", forbidden=[("console.corp", 443)])
    assert listed.own_names(443) == []
    assert allows(listed, "https://app.corp/", "10.0.0.9")


def test_this_machine_knows_its_own_addresses() -> None:
    assert is_address_of_this_machine(ipaddress.ip_address("127.0.0.1"))
    assert not is_address_of_this_machine(ipaddress.ip_address("192.0.2.1"))


def test_every_refusal_reads_the_same() -> None:
    messages = set()
    listed = policy("10.0.0.0/8", forbidden=[("10.0.0.1", 80)])
    for address in ("10.0.0.1", "127.0.0.1", "169.254.169.254", "224.0.0.1"):
        with pytest.raises(EgressBlocked) as caught:
            listed.check_addresses(parse_target("http://name.test"), [ipaddress.ip_address(address)])
        messages.add(str(caught.value))
    assert messages == {"name.test is not an allowed target."}


def test_the_list_may_come_in_items() -> None:
    assert allows(EgressPolicy(("10.0.0.0/8", "app.corp")), "http://app.corp/", "192.168.0.1")
