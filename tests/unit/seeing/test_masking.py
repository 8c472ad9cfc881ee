"""Values of Secrets are in nothing that is shown, whatever the document looks like."""

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from federation.seeing import diffing, masking

WORD = "s3cr3t-Value"
ENCODED = base64.b64encode(WORD.encode()).decode()
NOTE = "kubectl.kubernetes.io/last-applied-configuration"


def secret(value: str) -> dict[str, Any]:
    return {
        "kind": "Secret",
        "metadata": {"name": "login", "annotations": {NOTE: json.dumps({"data": {"a": value}}), "own": "kept"}},
        "data": {"a": value, "same": "x"},
        "stringData": {"b": value},
    }


def test_as_kubectl_masks_them() -> None:
    one, other = masking.pair(secret(ENCODED), secret("b3RoZXI="))
    assert one is not None
    assert other is not None
    assert one["data"] == {"a": "*** (before)", "same": "***"}
    assert other["data"] == {"a": "*** (after)", "same": "***"}
    assert one["metadata"]["annotations"]["own"] == "kept"
    added, _ = masking.pair(secret(ENCODED), None)
    assert added is not None
    assert added["data"] == {"a": "***", "same": "***"}


def test_the_arguments_stay_as_they_are() -> None:
    given_ = secret(ENCODED)
    masking.masked(given_)
    assert given_ == secret(ENCODED)


def test_what_federates_a_secret() -> None:
    document = {
        "kind": "FederatedSecret",
        "metadata": {"name": "login"},
        "spec": {
            "template": secret(ENCODED),
            "overrides": [{"clusterName": "m1", "clusterOverrides": [{"path": "/data/a", "value": ENCODED}]}],
        },
    }
    text = json.dumps(masking.masked(document))
    assert ENCODED not in text
    assert "/data/a" in text


_ODD = st.recursive(
    st.sampled_from([WORD, None, 1, True, ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=3),
    max_leaves=6,
)


@given(_ODD, _ODD)
def test_no_value_is_left_of_odd_data_either(data: Any, string_data: Any) -> None:
    document = {"kind": "Secret", "metadata": {"name": "x"}, "data": data, "stringData": string_data}
    assert WORD not in json.dumps(masking.masked(document))
    found = diffing.pair("m1", document, None, secret=True)
    assert found is not None
    assert WORD not in json.dumps(found.before)
