"""Makes virtual environments that see all packages of this interpreter, and nothing else in them."""
import os
import site
import sys
import venv

for path in sys.argv[1:]:
    venv.EnvBuilder(system_site_packages=True, symlinks=True, with_pip=False).create(path)
    packages = os.path.join(path, "lib", "python%d.%d" % sys.version_info[:2], "site-packages")
    # When this interpreter is of a virtual environment itself, what it sees is not the system's.
    seen = [folder for folder in site.getsitepackages() if os.path.isdir(folder)]
    with open(os.path.join(packages, "footplate.pth"), "w") as file:
        file.writelines(folder + "\n" for folder in seen)
