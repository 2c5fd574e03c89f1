"""Code as students hand it in, for the tests of the class: good, wrong, and hostile."""
GOOD = '''
import numpy as np


# exercise: layernorm.backward
def backward(dy, cache):
    x, weight, mean, rstd = cache
    C = x.shape[-1]
    n = (x - mean) * rstd
    dn = dy * weight
    dx = rstd * (dn - dn.mean(-1, keepdims=True) - n * (dn * n).mean(-1, keepdims=True))
    return dx, (dy * n).reshape(-1, C).sum(0), dy.reshape(-1, C).sum(0)
'''
VARIANCE_FORGOTTEN = GOOD.replace(" - n * (dn * n).mean(-1, keepdims=True)", "")
HEAD = "import numpy as np\n\n\n# exercise: layernorm.backward\ndef backward(dy, cache):\n"


def body(*lines):
    """Return a file whose function has these lines."""
    return HEAD + "".join(f"    {line}\n" for line in lines)


def hostile(victim):
    """Return {name: file} of answers that try to do harm. victim: a file that must survive and must not be read."""
    return {
        "deletes": body("import os", f"os.remove({victim!r})"),
        "deletes_quietly": body("import os", "try:", f"    os.remove({victim!r})", "except Exception: pass", "return 1, 2, 3"),
        "deletes_a_tree": body("import shutil, os", f"shutil.rmtree(os.path.dirname({victim!r}), ignore_errors=True)",
                               "return 1, 2, 3"),
        "overwrites": body(f"open({victim!r}, 'w').write('gone')"),
        "moves": body("import os", f"os.rename({victim!r}, 'mine.txt')"),
        "moves_over": body("import os", "open('mine.txt', 'w').write('gone')", f"os.replace('mine.txt', {victim!r})"),
        "makes_a_folder": body("import os", f"os.mkdir({victim!r} + '.d')"),
        "goes_up_and_deletes": body("import os", f"os.remove(os.path.relpath({victim!r}))"),
        "fills_the_disk": body("for i in range(10**6):", "    with open(f'{i}', 'wb') as file: file.write(bytes(1000))"),
        "writes_a_huge_file": body("with open('a', 'wb') as file:", "    for i in range(20): file.write(bytes(2**20))"),
        "reads": body(f"raise ValueError(open({victim!r}).read())"),
        "opens_a_socket": body("import socket", "socket.create_connection(('127.0.0.1', 9), 1)"),
        "starts_a_program": body("import subprocess", f"subprocess.run(['rm', '-f', {victim!r}])"),
        "system": body("import os", f"os.system('rm -f ' + {victim!r})", "return 1, 2, 3"),
        "forks": body("import os", "while True:", "    os.fork()"),
        "fills_memory": body("kept = []", "while True:", "    kept.append(np.ones(10**7))"),
        "never_ends": body("while True:", "    try:", "        while True: pass", "    except BaseException: pass"),
        "hangs_in_c": body("return sum(range(10**12)), 0, 0"),
        "leaves": body("import os", "os._exit(0)"),
        "exits": body("raise SystemExit('bye')"),
        "ends_by_signal": body("import os, signal", "os.kill(os.getppid(), signal.SIGKILL)", "return 1, 2, 3"),
        "prints_for_ever": body("while True:", "    print('x' * 1000)"),
        "writes_into_the_pipe": body("import os", "os.write(3, b'x' * 4096)", "return 1, 2, 3"),
        "recursion": body("return backward(dy, cache)"),
        "patches_the_grader": "import numpy as np\nimport nanolm.grading.compare as compare\n"
                              "compare.differences = lambda *a: []\n" + body("return dy, dy, dy").partition("\n")[2],
        "patches_numpy": "import numpy as np\nnp.abs = lambda a: a * 0\nnp.isnan = lambda a: a == a\n" + body(
            "return dy, cache[1], cache[1]").partition("\n")[2],
        "asks_the_grader": body("from nanolm.grading import exercises",
                                "return exercises.find('layernorm.backward').reference(dy, cache)"),
        "calls_the_library": body("from nanolm.layers import layernorm", "return layernorm.backward(dy, cache)"),
        "is_the_library": "# exercise: layernorm.backward\nfrom nanolm.layers.layernorm import backward\n",
        "stops_the_profiler": body("import sys", "sys.setprofile(None)", "from nanolm.layers.layernorm import backward as theirs",
                                   "return theirs(dy, cache)"),
        "loops_on_import": "while True: pass\n" + GOOD,
        "exits_on_import": "raise SystemExit('no')\n" + GOOD,
    }
