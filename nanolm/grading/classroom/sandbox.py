"""Lock this process in before a stranger's code runs in it: no network, no other process, no file written or deleted
outside of one folder for temporary files, which is removed afterwards.

    second_half = lock(readable=[folder, ...], memory=2**31, seconds=120, attempts=[], own="/tmp/x")
    applied = second_half()                                     the names of the locks that hold here

Three locks, one behind the other. Each is tried; what a system does not have is left out, and the list says which held.

    limits      setrlimit: memory, processor time, size of files (Unix)
    landlock    the kernel opens no file outside of a list, and none for writing outside of the folder (Linux 5.13 and later)
    seccomp     the kernel refuses system calls: sockets, new processes, signals to others, changes of files (Linux);
                where landlock holds, that guards mkdir, unlink and rename
    audit       Python's own hook refuses the same with a sentence that says what was tried (everywhere)

The first three are kept by the kernel: nothing that Python code does can take them away. The last is kept by Python and
holds against accidents; it also gives the better message, so it stands in front. On macOS and Windows only it and (macOS)
the limits hold: grade strangers' code there in a virtual machine.

Numbers of system calls and of structures are the kernel's: linux/landlock.h, linux/seccomp.h, linux/bpf_common.h,
arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h.

Tested    tests/grading/test_player.py.
"""
import ctypes
import os
import platform
import struct
import sys

NO_NEW_PRIVILEGES = 38                              # prctl
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# name: (its number on x86_64, on aarch64); None: the architecture does not have it
REFUSED = {
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "accept": (43, 202),
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "kill": (62, 129), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "pidfd_send_signal": (424, 424),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "unlink": (87, None), "unlinkat": (263, 35), "rmdir": (84, None), "rename": (82, None), "renameat": (264, 38),
    "renameat2": (316, 276), "mkdir": (83, None), "mkdirat": (258, 34), "link": (86, None), "linkat": (265, 37),
    "symlink": (88, None), "symlinkat": (266, 36), "mknod": (133, None), "mknodat": (259, 33), "truncate": (76, 45),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "chown": (92, None), "fchown": (93, 55),
    "lchown": (94, None), "fchownat": (260, 54), "setxattr": (188, 5), "utimensat": (280, 88), "chroot": (161, 51),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "setns": (308, 268), "unshare": (272, 97),
    "setrlimit": (160, 164), "prlimit64": (302, 261), "io_uring_setup": (425, 425), "bpf": (321, 280),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "reboot": (169, 142),
    "keyctl": (250, 219), "add_key": (248, 217), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "memfd_create": (319, 279), "sethostname": (170, 161), "settimeofday": (164, 170), "swapon": (167, 224),
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
}
GUARDED = ("unlink", "unlinkat", "rmdir", "rename", "renameat", "renameat2", "mkdir", "mkdirat")     # by landlock
CLONE, CLONE3 = (56, 220), (435, 435)
CLONE_THREAD = 0x10000
SPOKEN = {"socket": "use the network", "subprocess": "start a program", "os.system": "start a program",
          "os.exec": "start a program", "os.posix_spawn": "start a program", "os.spawn": "start a program",
          "os.fork": "start a process", "os.kill": "send a signal", "os.remove": "delete a file", "os.rmdir": "delete a folder",
          "os.rename": "rename a file", "os.mkdir": "make a folder", "os.link": "link a file", "os.symlink": "link a file",
          "os.truncate": "cut a file", "os.chmod": "change a file", "os.chown": "change a file", "shutil": "change files",
          "ctypes": "use ctypes", "os.putenv": "", "os.chdir": ""}
# event: where in its arguments the paths stand that it changes, and where the descriptors of the folders that they start from
CHANGED = {"os.remove": ((0, 1),), "os.rmdir": ((0, 1),), "os.mkdir": ((0, 2),), "os.rename": ((0, 2), (1, 3)),
           "shutil.rmtree": ((0, 1),), "shutil.move": ((0, None), (1, None)), "shutil.copyfile": ((1, None),),
           "shutil.copytree": ((1, None),)}
FILES, FILE_SIZE = 100, 10 * 2**20                  # how many files and folders may be made, and how large a file may be


def lock(readable, memory, seconds, attempts, own):
    """Lock this process in. Call it before other threads are started; numpy may be imported between the two halves.

    readable: folders and files that may be read; memory in bytes; seconds of processor time; attempts: a list that takes a
    sentence for each thing that was refused; own: the folder in which files may be written and deleted. Returns a function
    that applies the second half, and gives the list of locks.
    """
    applied = [name for name, works in (("limits", limits(memory, seconds)), ("landlock", landlock(readable, own))) if works]

    def second_half():
        if seccomp(GUARDED if "landlock" in applied else ()):
            applied.append("seccomp")
        sys.addaudithook(hook(attempts, own, "landlock" in applied))
        applied.append("audit")
        return applied

    return second_half


def limits(memory, seconds):
    """Set the limits of this process; return whether the system has them."""
    try:
        import resource
    except ImportError:                             # Windows
        return False
    for name, value in (("RLIMIT_AS", memory), ("RLIMIT_CPU", int(seconds)), ("RLIMIT_FSIZE", FILE_SIZE), ("RLIMIT_CORE", 0),
                        ("RLIMIT_NOFILE", 128)):
        try:
            resource.setrlimit(getattr(resource, name), (value, value))
        except (ValueError, OSError, AttributeError):               # macOS has no limit on memory
            pass
    return True


def landlock(readable, own=None):
    """Let the kernel open only what is in `readable`, only for reading, and all in the folder `own`; return whether it can."""
    if sys.platform != "linux" or platform.machine() not in ARCHITECTURES:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(444, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if version < 1:
        return False
    rights = 13 if version < 2 else 14 if version < 3 else 15 if version < 5 else 16       # how many rights it knows
    handled = struct.pack("QQ", (1 << rights) - 1, 3 if version >= 4 else 0)               # 3: bind and connect of TCP
    rules = libc.syscall(444, handled, ctypes.c_size_t(16 if version >= 4 else 8), ctypes.c_uint32(0))
    if rules < 0:
        return False
    # execute 1, write 2, read 4, list 8; in the own folder also remove a folder 16, a file 32, make a folder 128, a file 256,
    # move from folder to folder 8192, cut 16384: what the kernel's version knows of these
    everything = (2 | 4 | 8 | 16 | 32 | 128 | 256 | 8192 | 16384) & (1 << rights) - 1
    for path, allowed in [*((path, 0b1101) for path in readable), ("/dev/null", 0b110), ("/dev/zero", 0b100),
                          ("/dev/urandom", 0b100), *([(own, everything)] if own else [])]:
        try:
            place = os.open(path, os.O_PATH)
        except OSError:
            continue
        if not os.path.isdir(path):
            allowed &= 0b111                        # a file cannot be listed
        libc.syscall(445, ctypes.c_int(rules), ctypes.c_int(1), struct.pack("=Qi", allowed, place), ctypes.c_uint32(0))
        os.close(place)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    works = libc.syscall(446, ctypes.c_int(rules), ctypes.c_uint32(0)) == 0
    os.close(rules)
    return works


def seccomp(spared=()):
    """Let the kernel refuse the system calls of REFUSED that are not `spared`, and new processes, in all threads.

    Returns whether it can.
    """
    machine = platform.machine()
    if sys.platform != "linux" or machine not in ARCHITECTURES:
        return False
    column = list(ARCHITECTURES).index(machine)
    refused = [numbers[column] for name, numbers in REFUSED.items() if numbers[column] and name not in spared]
    program = filter_program(ARCHITECTURES[machine], refused, CLONE[column], CLONE3[column])
    code = ctypes.create_string_buffer(program, len(program))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))            # struct sock_fprog
    number = (317, 277)[column]
    return libc.syscall(number, ctypes.c_uint(1), ctypes.c_uint(1), header) == 0           # set filter; all threads


def filter_program(architecture, refused, clone, clone3):
    """Return the filter as the kernel's packet-filter code: instructions of 8 bytes (code, jump if, jump if not, number).

        A = architecture;   if A != ours: refuse
        A = number of the call
        for each refused number: if A == number: refuse
        if A == clone3: "no such call", whereupon the C library takes clone
        if A == clone and the new one is no thread: refuse
        allow
    """
    def op(code, number, yes=0, no=0):
        return struct.pack("HBBI", code, yes, no, number)
    load, equal, bits, leave = 0x20, 0x15, 0x45, 0x06
    allow, refuse, missing = 0x7FFF0000, 0x00050001, 0x00050026                            # ERRNO EPERM, ERRNO ENOSYS
    program = [op(load, 4), op(equal, architecture, 1, 0), op(leave, refuse), op(load, 0)]
    program += [op(0x35, 0x40000000, 0, 1), op(leave, refuse)]                             # the x32 numbers of x86_64
    for number in refused:
        program += [op(equal, number, 0, 1), op(leave, refuse)]
    program += [op(equal, clone3, 0, 1), op(leave, missing)]
    program += [op(equal, clone, 0, 3), op(load, 16), op(bits, CLONE_THREAD, 1, 0), op(leave, refuse), op(leave, allow)]
    return b"".join(program)


def hook(attempts, own, guarded):
    """Return the audit hook: it raises PermissionError for what an answer has no business to do, and notes it.

    own: the folder in which it may write. guarded: whether landlock holds, which sees from where a relative path starts.
    """
    realpath, own, made = os.path.realpath, os.path.realpath(own), [0]

    def inside(path, start=None):
        """Return whether a path, seen from the folder with the descriptor `start`, is the own folder or below it."""
        if isinstance(path, int):                   # a descriptor: it was looked at when it was opened
            return True
        path = os.fsdecode(path)
        if start not in (None, -1) and not os.path.isabs(path):
            path = os.path.join(f"/proc/self/fd/{start}", path)
        return (realpath(path) + os.sep).startswith(own + os.sep)

    def look(event, arguments):
        if event == "open":
            path, mode, flags = arguments
            writes = isinstance(mode, str) and any(letter in mode for letter in "wax+") or \
                isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            if writes and path != os.devnull:
                made[0] += 1
                unclear = mode is None and not guarded and not isinstance(path, int) and not os.path.isabs(os.fsdecode(path))
                if unclear or made[0] > FILES or not inside(path):      # os.open may start from another folder
                    refuse("write a file")
            return
        word = SPOKEN.get(event) or SPOKEN.get(event.partition(".")[0], "")
        if event in CHANGED and all(inside(arguments[at], arguments[start] if start and start < len(arguments) else None)
                                    for at, start in CHANGED[event]):
            made[0] += event == "os.mkdir"
            if made[0] <= FILES or event != "os.mkdir":
                return
        if word and not event.startswith(("ctypes.set", "ctypes.get", "ctypes.addressof", "ctypes.cdata", "ctypes.call_function",
                                          "socket.gethostname")):
            refuse(word)
        if event == "import" and str(arguments[0]).startswith("nanolm.grading"):
            refuse("import the grader")

    def refuse(word):
        if len(attempts) < 20 and word not in attempts and not of_a_library(sys._getframe(2)):
            attempts.append(word)
        raise PermissionError(f"an answer may not {word} while it is graded")

    return look


def of_a_library(frame):
    """Return whether an installed library does this on its own account: matplotlib asks a program for the fonts.

    It is refused all the same, but the student is not blamed for it. Frames of the standard library are passed over.
    """
    standard = os.path.dirname(os.__file__)
    while frame is not None:
        name = frame.f_code.co_filename
        if "-packages" in name or not name.startswith((standard, "<frozen")):
            return "-packages" in name
        frame = frame.f_back
    return False
