"""One region for all tests that do not kill theirs, and the clients to ask it with."""
import os

import pytest
from conformance import Conformance
from jobs import Jobs, unique
from region import Clients, Region, binary, sourced


def pytest_configure(config):
    """Nothing can be tested without the program: said once, at the start."""
    if not os.environ.get("PEERS_ENV_FILE"):
        binary()


@pytest.fixture(scope="session")
def region(tmp_path_factory):
    """A running region. PEERS_ENV_FILE names the env file of one that runs already, and then that is used."""
    there = os.environ.get("PEERS_ENV_FILE")
    region = Region(tmp_path_factory.mktemp("region"))
    if there:
        region.env = sourced(there)
        yield region
        return
    region.start()
    yield region
    region.stop()


@pytest.fixture
def own_region(tmp_path):
    """A region of the test's own, to be killed and started again."""
    if os.environ.get("PEERS_ENV_FILE"):
        pytest.skip("PEERS_ENV_FILE names a region that is not to be killed")
    region = Region(tmp_path)
    yield region.start()
    region.stop()


@pytest.fixture(scope="session")
def watcher():
    return Conformance()


@pytest.fixture(scope="session")
def watched_clients(region, watcher):
    return Clients(region.env, watcher)


@pytest.fixture
def clients(watched_clients, watcher):
    """boto3 clients; the test fails if any response does not conform to the service model."""
    watcher.violations.clear()
    yield watched_clients
    watcher.raise_violations()


@pytest.fixture
def bucket(clients):
    """A new bucket of the test's own."""
    name = unique("peers")
    clients.s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def jobs(clients, bucket):
    return Jobs(clients, bucket)
