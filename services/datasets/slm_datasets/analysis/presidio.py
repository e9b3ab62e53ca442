"""Personal data as Presidio finds it (extra `pii`): by patterns, check digits and the words around them.

No language model is loaded, so names of people and places are not found. https://microsoft.github.io/presidio/
"""

from importlib.metadata import version

import spacy
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer import predefined_recognizers as known
from presidio_analyzer.nlp_engine import SpacyNlpEngine

LANGUAGE = "en"
# Below it a run of digits alone is a telephone number.
LEAST_SCORE = 0.4
MAX_CHARACTERS = 2000
RECOGNIZERS = (
    known.CreditCardRecognizer,
    known.CryptoRecognizer,
    known.EmailRecognizer,
    known.IbanRecognizer,
    known.IpRecognizer,
    known.MacAddressRecognizer,
    known.PhoneRecognizer,
    known.UsItinRecognizer,
    known.UsSsnRecognizer,
)
KINDS = {
    "CREDIT_CARD": "card",
    "CRYPTO": "crypto_wallet",
    "EMAIL_ADDRESS": "email",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip_address",
    "MAC_ADDRESS": "mac_address",
    "PHONE_NUMBER": "phone",
    "US_ITIN": "us_tax_number",
    "US_SSN": "us_social_security_number",
}
"""What reports call the entities of Presidio; what the patterns find too has the same name there."""


class Presidio:
    """The analyzer with a blank pipeline: some hundreds of rows a second, so the rows are bounded."""

    name = "presidio"
    max_characters: int | None = MAX_CHARACTERS

    def __init__(self, max_rows: int) -> None:
        self.max_rows = max_rows
        self.version = version("presidio-analyzer")
        pipeline = SpacyNlpEngine()
        pipeline.nlp = {LANGUAGE: spacy.blank(LANGUAGE)}
        registry = RecognizerRegistry([recognizer() for recognizer in RECOGNIZERS])
        self._analyzer = AnalyzerEngine(registry=registry, nlp_engine=pipeline, default_score_threshold=LEAST_SCORE)

    def kinds_in(self, text: str) -> set[str]:
        """Which kinds of personal data a text seems to hold."""
        return {KINDS[found.entity_type] for found in self._analyzer.analyze(text, language=LANGUAGE)}
