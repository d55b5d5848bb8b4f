"""What cmake/platform.cmake has for each system, for the scripts that check it."""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Platform:
    """What is built for a system, by the name that CMake has for it."""

    def __init__(self, name, version="1000"):
        printed = subprocess.run(
            ["cmake", f"-DEVENT_PLATFORM={name}", f"-DCMAKE_SYSTEM_VERSION={version}",
             "-P", str(ROOT / "cmake" / "print_platform.cmake")],
            check=True, capture_output=True, text=True).stdout
        lists = dict(re.findall(r"-- EVENT_(\w+): (.*)", printed))
        self.backends = lists["BACKENDS"].split(";")
        self.parts = lists["PARTS"].split(";")
        self.definitions = lists["PLATFORM_DEFINITIONS"].split(";")
