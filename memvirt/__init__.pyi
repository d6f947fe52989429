from memvirt.api import draw as draw
from memvirt.api import make_point as make_point
from memvirt.api import read as read
from memvirt.api import run_sweep as run_sweep
from memvirt.api import simulate as simulate
from memvirt.api import steps as steps
from memvirt.errors import CapacityError as CapacityError
from memvirt.errors import ConfigError as ConfigError
from memvirt.errors import MemvirtError as MemvirtError
from memvirt.errors import TraceError as TraceError

__version__: str
