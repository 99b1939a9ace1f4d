# SPDX-License-Identifier: Apache-2.0
"""What sg3-utils and smartctl, through Linux's SCSI layer, make of kura's answers."""

import os
import re

import kurad

ROWS = os.path.join(kurad.ROOT, "target", "scsi", "commands.def")
COMPLAINT = re.compile(r".*(?:failed|[Ii]llegal|(?<!Inline data )not supported|bad field|"
                       r"malformed|[Tt]runcated|too short|unexpected|[Ii]nvalid).*")

# What to run, on {a} or {b} (sg nodes {sa} and {sb}), and what has to be in its answer.
PLAIN = [
    ("sg_inq {a}", r"Product identification: VOLUME"),
    ("sg_readcap -l {a}", r"lbpme=1, lbprz=1[\s\S]*physical block length=4096"),
    ("sg_readcap {a}", r"Device size: 268435456 bytes"),
    ("sg_luns {a}", r"0001000000000000"),
    ("sg_luns -s 1 {a}", r"c101000000000000"),
    ("sg_modes -a {a}", r"Caching[\s\S]*Control"),
    ("sg_modes -6 -a {a}", r"Caching[\s\S]*Control"),
    ("sg_modes -a -c 1 {a}", r"changeable"),
    ("sginfo -a {a}", r"Write Cache Enabled +1"),
    ("sg_opcodes {a}", r"Read\(16\)"),
    ("sg_opcodes -m -R {a}", r"Unmap"),
    ("sg_opcodes -o 0x9e,0x10 {a}", r"Opcode=0x9e"),
    ("sg_opcodes -t {a}", r"Logical unit reset"),
    ("sg_turs -n 5 {a}", r""),
    ("sg_requests {a}", r""),
    ("sg_start --start {a}", r""),
    ("sg_prevent --allow {a}", r""),
    ("sg_sync {a}", r""),
    ("sg_sync --16 --lba=8 --count=8 {a}", r""),
    ("sg_verify --lba=0 --count=64 {a}", r""),
    ("sg_verify --16 --lba=0 --count=64 {a}", r""),
    ("sg_reset --no-esc -d {a}", r""),
    ("sg_turs {a} || sg_turs {a}", r""),
    ("dd if=/dev/urandom of=/tmp/4k bs=4k count=1 2>/dev/null", r""),
    ("sg_write_verify --in=/tmp/4k --lba=0 --num=8 {a}", r""),
    ("sg_write_verify --16 --in=/tmp/4k --lba=0 --num=8 {a}", r""),
    ("sg_write_x --or --in=/tmp/4k --lba=0 --num=8 {a}", r""),
    ("sg_write_x --atomic=0 --in=/tmp/4k --lba=0 --num=8 {a}", r""),
    ("sg_seek --pre-fetch --10 --lba=0 --count=8 {a}; [ $? = 25 ]", r""),
    ("sg_dd if={sa} of=/dev/null bs=512 count=4096", r"4096\+0 records out"),
    ("cat /sys/block/{na}/device/scsi_disk/*/provisioning_mode", r"unmap"),
    ("lsscsi", r"disk\s+KURA\s+VOLUME"),
]

# The same for commands that may have no row yet: opcode, service action, command, answer.
WITH_ROW = [
    (0x4D, None, "sg_logs {a}", r"Supported log pages"),
    (0x4D, None, "sg_logs -a {a}", r""),
    (0x4D, None, "sg_logs -p 0xc {a}", r"Available LBA mapping[\s\S]*Used LBA mapping"),
    (0x9E, 0x12, "sg_get_lba_status --lba=0 {a}", r"\[1\] LBA"),
    (0x7F, 0x12, "sg_get_lba_status --32 --lba=0 {a}", r"\[1\] LBA"),
    (0x7F, 0x12, "sg_get_lba_status --32 --scan-len=8 --report-type=0 --lba=8 {a}",
     r"scan length[\s\S]*\[1\] LBA: 0x0*8 +blocks: +8 "),
    (0x7F, 0x0E, "sg_write_x --or --32 --in=/tmp/4k --lba=0 --num=8 {a}", r""),
    (0x1D, None, "sg_senddiag -t {a}", r""),
    (0x3C, None, "sg_rbuf -q --size=4k {a}", r""),
    (0xA3, 0x0F, "sg_timestamp {a}", r""),
    (0xA3, 0x0A, "sg_rtpg -d {a}", r"asymmetric access state"),
    (0xA3, 0x0A, "sg_rtpg -e {a}", r""),
    (0xA3, 0x0A, "cat /sys/block/{na}/device/dh_state", r"alua"),
    (0x3C, None, "sg_test_rwbuf --size=512 {a}", r"Success"),
    (0x3C, None, "sg_read_buffer -m desc {a}", r""),
    (0x5E, 0x02, "sg_persist -n -i -c {a}", r"Type Mask Valid\(TMV\): 1"),
    (0x5E, 0x03, "sg_persist -n -i -s {a}", r""),
    (0x84, None, "sg_copy_results -p {a}", r""),
]


def has_row(opcode, action=None):
    """Whether commands.def knows a command."""
    with open(ROWS, encoding="utf-8") as f:
        text = f.read()
    service = r"\w+" if action is None else f"0x{action:02x}"
    return re.search(rf"^COMMAND\(0x{opcode:02x}, {service},", text, re.MULTILINE) is not None


def _check(scene, command, want, ok=0, quiet=True):
    """Runs one tool and judges its exit status and its words."""
    status, text = scene.guest.run(command)
    words = re.sub(r"\[[^]\n]*\]", "", text)  # explanations of the tool's own
    bad = [m[0] for m in COMPLAINT.finditer(words)] if quiet else []
    short = re.sub(r" ?/dev/\S+", "", command)
    scene.tap.check(status == ok and not bad and re.search(want, text), short,
                    f"exit status {status}\n{text[:2500]}")
    return text


def _pages(scene, disk):
    """Every VPD page that is said to be there, decoded."""
    text = scene.guest.must(f"sg_vpd -p sv -r {disk} | hexdump -v -e '1/1 \"%02x \"'")
    codes = text.split()[4:]
    scene.tap.check("00" in codes and "83" in codes and codes == sorted(codes),
                    "the list of VPD pages", text)
    for code in codes:
        _check(scene, f"sg_vpd -p 0x{code} {disk}", r"VPD page")


def _zeroes(scene, disk, lba, blocks):
    text = scene.guest.must(f"dd if={disk} bs=512 skip={lba} count={blocks} iflag=direct "
                            "2>/dev/null | tr -d '\\000' | wc -c")
    return text.strip() == "0"


def _unmaps(scene, disk):
    """Data is there, and gone after each way of taking it away."""
    ways = ["sg_unmap --force --lba=64 --num=64", "sg_write_same --16 --unmap --lba=64 --num=64",
            "sg_write_same --10 --unmap --lba=64 --num=64",
            "sg_write_same --16 --ndob --lba=64 --num=64",
            "sg_write_same --10 --lba=64 --num=64"]
    for way in ways:
        scene.guest.must(f"dd if=/dev/urandom of={disk} bs=4096 seek=8 count=8 oflag=direct "
                         "2>/dev/null")
        before = _zeroes(scene, disk, 64, 64)
        _check(scene, f"{way} {disk}", "")
        scene.tap.check(not before and _zeroes(scene, disk, 64, 64), f"zeros after {way}",
                        "was zero before" if before else "not zero after")


def _compare_and_write(scene, disk):
    new = "/tmp/new"
    scene.guest.must(f"dd if=/dev/zero of={disk} bs=4096 count=1 oflag=direct 2>/dev/null; "
                     f"dd if=/dev/zero of={new} bs=512 count=1 2>/dev/null; "
                     f"dd if=/dev/urandom of={new} bs=512 seek=1 count=1 2>/dev/null")
    command = f"sg_compare_and_write --in={new} --lba=0 --num=1 {disk}"
    _check(scene, command, "")
    scene.guest.must(f"dd if={disk} bs=512 count=1 iflag=direct 2>/dev/null >/tmp/is; "
                     f"tail -c 512 {new} >/tmp/want; cmp /tmp/is /tmp/want")
    scene.tap.ok("COMPARE AND WRITE wrote what was given")
    scene.guest.must(f"(head -c 100 /tmp/want; head -c 412 /dev/zero; cat /tmp/want) >{new}")
    _check(scene, command, r"Miscompare at byte offset: \d+", ok=14, quiet=False)


def _copy(scene, a, b, sa, sb):
    """EXTENDED COPY from one LUN to another."""
    if not has_row(0x83):
        scene.tap.skip("sg_xcopy", "no EXTENDED COPY")
        return
    scene.guest.run(f"sg_turs -n 3 {b}")
    scene.guest.must(f"dd if=/dev/urandom of={a} bs=64k count=16 oflag=direct 2>/dev/null")
    _check(scene, f"sg_xcopy if={sa} of={sb} bs=512 count=2048 bpt=512", "")
    status, text = scene.guest.run("; ".join(
        f"dd if={d} bs=64k count=16 iflag=direct 2>/dev/null | sha256sum" for d in (a, b)))
    sums = text.split()
    scene.tap.check(status == 0 and sums[0] == sums[2], "the copy is the same", text)


def _smart(scene, disk):
    if not has_row(0x4D):
        scene.tap.skip("smartctl", "no LOG SENSE")
        return
    _check(scene, f"smartctl -i {disk}", r"Serial number")
    _check(scene, f"smartctl -H {disk}", r"OK", quiet=False)
    _check(scene, f"smartctl -a {disk}", r"Serial number", quiet=False)
    # 4 because it misses a page about the wear of flash cells; every command had GOOD status
    _check(scene, f"smartctl -x {disk}", r"Writeback Cache is: +Enabled", ok=4, quiet=False)
    _check(scene, f"smartctl -t short {disk}", r"has begun")
    _check(scene, f"smartctl -l selftest {disk}", r"Background short +Completed")


def _write_cache(scene, disk, name):
    """MODE SELECT through sg_wr_mode and through the kernel."""
    off = "08,12" + ",00" * 18
    knob = f"/sys/block/{name}/device/scsi_disk/*/cache_type"
    _check(scene, f"sg_wr_mode --page=8 --contents={off} {disk}", "")
    _check(scene, f"sg_modes -p 8 -H {disk}", r"88 12 00")
    status, text = scene.guest.run(f"k=$(ls {knob}); echo 'write back' >$k; cat $k; "
                                   f"sg_modes -p 8 -H {disk}")
    scene.tap.check(status == 0 and "write back" in text and "88 12 04" in text,
                    "the kernel turns the write cache on again", text)


def play(scene):
    """Runs all of them on the scene's two disks."""
    a, b = scene.disks[0], scene.disks[1]
    names = {"a": a, "b": b, "sa": scene.initiator.generic(a), "sb": scene.initiator.generic(b),
             "na": a.rsplit("/", 1)[1]}
    for command, want in PLAIN:
        _check(scene, command.format(**names), want)
    _pages(scene, a)
    for opcode, action, command, want in WITH_ROW:
        if has_row(opcode, action):
            _check(scene, command.format(**names), want)
        else:
            scene.tap.skip(command.split(" {")[0], "no such row in commands.def")
    _unmaps(scene, a)
    _compare_and_write(scene, a)
    _copy(scene, a, b, names["sa"], names["sb"])
    _write_cache(scene, a, names["na"])
    _smart(scene, a)
