import subprocess
import sys

from cluster.env import torchvision_cpu


def run(code):
    return subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False)


def test_install_writes_a_hook_that_imports_nothing_heavy(tmp_path):
    assert not torchvision_cpu.installed(tmp_path)
    pth = torchvision_cpu.install(tmp_path)
    assert torchvision_cpu.installed(tmp_path)
    line = pth.read_text()
    done = run(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{line}\n"
               "assert type(sys.meta_path[0]).__name__ == 'Hook'\n"
               "assert not {'torch', 'typing', 're', 'pathlib'} & set(sys.modules), sorted(sys.modules)")  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_an_older_copy_is_not_installed(tmp_path):
    torchvision_cpu.install(tmp_path)
    (tmp_path / f"{torchvision_cpu.NAME}.py").write_text("# old")
    assert not torchvision_cpu.installed(tmp_path)


def test_activating_twice_adds_one_hook():
    code = (
        "import sys\nfrom cluster.env import torchvision_cpu as t\nt.activate(); t.activate()\n"
        "print(sum(type(f).__name__ == 'Hook' for f in sys.meta_path))"
    )
    assert run(code).stdout.strip() == "1"


def test_torchvision_imports_in_a_bare_process():
    code = "from cluster.env import torchvision_cpu as t; t.activate(); import torchvision; print('imported')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "imported", done.stderr
