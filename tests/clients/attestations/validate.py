"""Validates documents about an image: a list of contents (SPDX) and a statement of its origin (in-toto, SLSA).

    python validate.py SBOM PROVENANCE

Says nothing and ends with 0, or says what is wrong.
"""

import json
import sys

from google.protobuf.json_format import ParseDict
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

sbom, provenance = sys.argv[1:]

wrong = validate_full_spdx_document(parse_file(sbom), "SPDX-2.3")
for message in wrong:
    print(message.validation_message, message.context, file=sys.stderr)

with open(provenance) as file:
    text = json.load(file)
Statement.copy_from_pb(ParseDict(text, statement_pb2.Statement())).validate()
# A member that the predicate does not have is an error here; the ones that it must have are asked for.
predicate = ParseDict(text["predicate"], provenance_pb2.Provenance())
assert text["predicateType"] == "https://slsa.dev/provenance/v1"
assert predicate.build_definition.build_type and predicate.build_definition.external_parameters
assert predicate.run_details.builder.id

sys.exit(1 if wrong else 0)
