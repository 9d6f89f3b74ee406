"""SciPy, scikit-learn and array-api-extra compute on tensors, by the array API alone.

SciPy decides when it is imported whether it looks at namespaces, so all of this runs in another process, one for each
library: it answers what became of each example.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("scipy", minversion="1.14", reason="no SciPy that knows the array API")

PROGRAM = """
import json, sys, traceback, warnings
import numpy as np
import libtorch_ffi as lt

def agree(ours, theirs, tolerance=1e-10):
    assert isinstance(ours, lt.Tensor), type(ours)
    assert np.allclose(ours.numpy(), theirs, rtol=tolerance, atol=tolerance), (ours, theirs)

beginning, examples = json.load(sys.stdin)
outcomes = {}
for name, example in examples.items():
    names = {"lt": lt, "np": np, "agree": agree}
    exec(beginning, names)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(example, names)
    except Exception:
        outcomes[name] = traceback.format_exc()
print(json.dumps(outcomes))
"""


def outcomes(examples: dict[str, str], beginning: str = "") -> dict[str, str]:
    """Return the tracebacks of those examples that failed, run in a process that has the array API switched on."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([beginning, examples]),
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    failed: dict[str, str] = json.loads(done.stdout)
    return failed


SCIPY = {
    "signal.fftconvolve": """
from scipy.signal import fftconvolve
x, y = lt.arange(20, dtype=lt.float64), lt.tensor([1.0, -2.0, 0.5], dtype=lt.float64)
agree(fftconvolve(x, y), fftconvolve(x.numpy(), y.numpy()))
""",
    "stats.zscore": """
from scipy.stats import zscore
x = lt.linspace(0, 1, 12, dtype=lt.float64).reshape(3, 4) ** 2
agree(zscore(x, axis=1), zscore(x.numpy(), axis=1))
""",
    "stats.skew": """
from scipy.stats import skew
x = lt.linspace(0, 1, 12, dtype=lt.float64).reshape(3, 4) ** 3
agree(skew(x, axis=0), skew(x.numpy(), axis=0))
""",
    "special.logsumexp": """
from scipy.special import logsumexp
x = lt.linspace(-5, 5, 12, dtype=lt.float64).reshape(3, 4)
agree(logsumexp(x, axis=1), logsumexp(x.numpy(), axis=1))
""",
    "special.expit": """
from scipy.special import expit
x = lt.linspace(-5, 5, 12, dtype=lt.float64)
agree(expit(x), expit(x.numpy()))
""",
    "fft.dct": """
from scipy.fft import fft, rfft
x = lt.linspace(-5, 5, 12, dtype=lt.float64)
agree(rfft(x), rfft(x.numpy()))
agree(fft(x.to(lt.complex128)), fft(x.numpy()))
""",
    "cluster.vq.whiten": """
from scipy.cluster.vq import whiten
x = lt.linspace(0, 1, 12, dtype=lt.float64).reshape(4, 3) ** 2
agree(whiten(x), whiten(x.numpy()))
""",
}
SKLEARN = {
    "PCA": """
from sklearn.decomposition import PCA
x = np.random.default_rng(0).normal(size=(40, 5))
ours = PCA(n_components=2, svd_solver="full").fit(lt.from_numpy(x))
theirs = PCA(n_components=2, svd_solver="full").fit(x)
agree(ours.explained_variance_, theirs.explained_variance_)
agree(ours.transform(lt.from_numpy(x)), theirs.transform(x), 1e-8)
""",
    "StandardScaler": """
from sklearn.preprocessing import MinMaxScaler, StandardScaler
x = np.random.default_rng(0).normal(size=(40, 5))
agree(MinMaxScaler().fit_transform(lt.from_numpy(x)), MinMaxScaler().fit_transform(x))
""",
    "Ridge": """
from sklearn.linear_model import Ridge
random = np.random.default_rng(0)
x, y = random.normal(size=(40, 5)), random.normal(size=40)
ours = Ridge(solver="svd").fit(lt.from_numpy(x), lt.from_numpy(y))
agree(ours.coef_, Ridge(solver="svd").fit(x, y).coef_)
agree(ours.predict(lt.from_numpy(x)), Ridge(solver="svd").fit(x, y).predict(x))
""",
    "LinearDiscriminantAnalysis": """
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
random = np.random.default_rng(0)
x, y = random.normal(size=(40, 5)), np.arange(40) % 2
ours = LinearDiscriminantAnalysis().fit(lt.from_numpy(x), lt.from_numpy(y))
agree(ours.decision_function(lt.from_numpy(x)), LinearDiscriminantAnalysis().fit(x, y).decision_function(x), 1e-8)
""",
    "metrics": """
from sklearn.metrics import accuracy_score, mean_squared_error, r2_score
random = np.random.default_rng(0)
x, y = random.normal(size=40), random.normal(size=40)
for score in (mean_squared_error, r2_score):
    assert np.isclose(score(lt.from_numpy(x), lt.from_numpy(y)), score(x, y))
labels = [random.integers(0, 3, 40) for _ in range(2)]
assert np.isclose(accuracy_score(*map(lt.from_numpy, labels)), accuracy_score(*labels))
""",
}
EXTRA = {
    "cov": """
x = lt.from_numpy(np.random.default_rng(0).normal(size=(3, 10)))
agree(xpx.cov(x), np.cov(x.numpy()))
""",
    "kron": """
x, y = lt.arange(6).reshape(2, 3), lt.arange(4).reshape(2, 2)
agree(xpx.kron(x, y), np.kron(x.numpy(), y.numpy()))
""",
    "setdiff1d": """
x, y = lt.tensor([4, 2, 3, 4]), lt.tensor([3])
agree(xpx.setdiff1d(x, y), np.setdiff1d(x.numpy(), y.numpy()))
""",
    "sinc": """
x = lt.linspace(-2, 2, 9, dtype=lt.float64)
agree(xpx.sinc(x), np.sinc(x.numpy()))
""",
    "pad": """
agree(xpx.pad(lt.ones(2, 2), 1), np.pad(np.ones((2, 2)), 1))
""",
    "at": """
x = lt.zeros(4)
agree(xpx.at(x)[1:3].add(2.0), [0, 2, 2, 0])
""",
}


def test_scipy() -> None:
    assert outcomes(SCIPY) == {}


def test_scikit_learn() -> None:
    pytest.importorskip("sklearn", minversion="1.6", reason="no scikit-learn that knows the array API")
    assert outcomes(SKLEARN, "import sklearn\nsklearn.set_config(array_api_dispatch=True)") == {}


def test_array_api_extra() -> None:
    pytest.importorskip("array_api_extra")
    assert outcomes(EXTRA, "import array_api_extra as xpx") == {}
