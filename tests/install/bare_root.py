"""A machine with nothing on it: a root made by debootstrap, in which commands run as root, with this machine's network.

    LIKENESS_BASE_ROOT        a folder that debootstrap has made; it is copied. Without it debootstrap is run
    LIKENESS_DEBIAN_MIRROR    where debootstrap and the root's apt fetch packages [debootstrap's own]
    LIKENESS_ROOT_VOLUMES     "SOURCE:TARGET ..." of this machine to show there: pip's configuration, a compiler cache
"""
import os
import pathlib
import shutil
import subprocess
import tempfile

MOUNT = """set -e
mount --make-rprivate /
mount -t proc proc "$1/proc"
mount --rbind /sys "$1/sys"
mount --rbind /dev "$1/dev"
root=$1
shift
for volume in "$@"; do
  target=$root/${volume#*:}
  if [ -d "${volume%%:*}" ]; then mkdir -p "$target"; else mkdir -p "$(dirname "$target")"; touch "$target"; fi
  mount --bind "${volume%%:*}" "$target"
done
exec env -i HOME=/root TERM=dumb LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
  chroot "$root" /bin/bash -c "$BARE_COMMAND"
"""


class BareRoot:
    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="likeness-root-"))
        base = os.environ.get("LIKENESS_BASE_ROOT")
        if base:
            subprocess.run(["cp", "-a", f"{base}/.", self.path], check=True)
        else:
            mirror = os.environ.get("LIKENESS_DEBIAN_MIRROR")
            subprocess.run(["debootstrap", "--variant=minbase", "bookworm", self.path, *filter(None, [mirror])], check=True,
                           stdout=subprocess.DEVNULL)
        shutil.copy("/etc/resolv.conf", self.path / "etc/resolv.conf")
        (self.path / "etc/hosts").write_text("127.0.0.1 localhost\n")  # as Debian's installer does
        self._volumes = os.environ.get("LIKENESS_ROOT_VOLUMES", "").split()

    def command(self, text):
        """The command of this machine that runs the bash command `text` there. All that it leaves running ends with it."""
        os.environ["BARE_COMMAND"] = text
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", MOUNT, "bash", str(self.path),
                *self._volumes]

    def run(self, text, **more):
        """Its output; fails with it."""
        done = subprocess.run(self.command(text), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
        if done.returncode != 0:
            raise AssertionError(f"{text}: exit code {done.returncode}\n{done.stdout[-4000:]}")
        return done.stdout

    def close(self):
        shutil.rmtree(self.path, ignore_errors=True)
