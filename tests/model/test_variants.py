import subprocess
import sys
from typing import get_args

from model.attention import attention_layer
from model.config import AttentionName, ViTConfig
from model.variants import VARIANTS


def test_the_table_has_a_row_for_every_name_that_a_configuration_allows() -> None:
    assert set(VARIANTS) == set(get_args(AttentionName))


def test_every_row_leads_to_a_class_and_says_what_it_is() -> None:
    for name, variant in VARIANTS.items():
        assert variant.location.endswith(f":{attention_layer(ViTConfig(attention=name)).__name__}")
        assert variant.description


def test_configurations_costs_and_the_table_load_no_torch() -> None:
    code = (
        "import sys, model.config, model.flops, model.variants, model.figures, model.attention;"
        "print(sorted({'torch', 'timm', 'numpy', 'matplotlib'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
