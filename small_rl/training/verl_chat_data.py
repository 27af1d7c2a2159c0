"""Supervised examples for verl's SFT trainer, tokenised beforehand (small_rl.training.train_format).

verl's own data set renders each message alone. A template that treats the last answer differently from earlier ones,
as that of Qwen3's thinking models does, then drops the thoughts, and verl refuses the example.
"""

from pathlib import Path

import torch

from polaris.stage.records import TOKENS, read_rows


class ChatDataset(torch.utils.data.Dataset):
    """Rows of polaris.stage.records.TOKENS; loss on what follows the prompt. Passed to verl by `data.custom_cls`."""

    def __init__(self, parquet_files: str, tokenizer, config, processor=None, max_samples: int = -1):
        self.rows = read_rows(Path(parquet_files), TOKENS)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: int) -> dict[str, torch.Tensor]:
        """input_ids, position_ids, loss_mask: one-dimensional, as long as the example."""
        ids = torch.tensor(self.rows[item]["input_ids"], dtype=torch.int64)
        positions = torch.arange(len(ids))
        return {
            "input_ids": ids,
            "position_ids": positions,
            "loss_mask": (positions >= self.rows[item]["prompt_tokens"]).to(torch.int64),
        }
