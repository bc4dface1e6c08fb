"""Every kind of layer at odd sizes, on every instruction set of this machine."""

import pytest
from models import odd_sizes

import gossamer

CASES = odd_sizes.cases()


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("isa", gossamer.isas())
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_layers_of_odd_sizes_agree_with_onnxruntime(case, isa, threads):
    options = gossamer.SessionOptions(threads=threads, isa=isa)
    session = gossamer.InferenceSession(case.data, options)
    names = [output.name for output in session.get_outputs()]
    case.check(dict(zip(names, session.run(names, {"x": case.x}), strict=True)))
