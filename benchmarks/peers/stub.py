"""The one scheduler that all are measured against: programs on PATH that count their calls."""

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

COMMANDS = ("sbatch", "squeue", "sacct", "scancel", "scontrol", "srun")


@dataclass(frozen=True)
class Stub:
    """A scheduler in a folder of its own; ``stub_command.py`` says how it answers."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, delay_s: float) -> "Stub":
        """A scheduler that has taken nothing yet."""
        (folder / "bin").mkdir(parents=True)
        text = Path(__file__).with_name("stub_command.py").read_text()
        for name in COMMANDS:
            program = folder / "bin" / name
            program.write_text(f"#!{sys.executable} -IS\n{text}")
            program.chmod(0o755)
        (folder / "delay_s").write_text(str(delay_s))
        for name in ("arrays", "calls"):
            (folder / name).touch()
        return cls(folder)

    @property
    def commands(self) -> Path:
        return self.folder / "bin"

    def end_all(self) -> None:
        """Every member has ended well; only accounting remembers it."""
        arrays = self.folder / "arrays"
        arrays.write_text(arrays.read_text().replace(" PENDING", " COMPLETED"))

    def forget_calls(self) -> None:
        (self.folder / "calls").write_text("")

    def calls(self) -> Counter[str]:
        """By command, since they were last forgotten."""
        return Counter(name for name, _ in self._lines() if name != "submitted")

    def submitted(self) -> int:
        """Members taken since then."""
        return sum(int(number) for name, number in self._lines() if name == "submitted")

    def answered(self, command: str) -> float | None:
        """When such a call was answered first since then, in epoch seconds."""
        return next((float(time) for name, time in self._lines() if name == command), None)

    def _lines(self) -> list[tuple[str, str]]:
        lines = (self.folder / "calls").read_text().split("\n")[:-1]  # the last may be unfinished
        return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]
