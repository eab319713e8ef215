"""A SAM 2 so small that a test can make and run it; its weights are random."""

from __future__ import annotations

from pathlib import Path

# As the released models, with a few channels and blocks of everything.
CONFIG = """
model:
  _target_: sam2.modeling.sam2_base.SAM2Base
  image_encoder:
    _target_: sam2.modeling.backbones.image_encoder.ImageEncoder
    scalp: 1
    trunk:
      _target_: sam2.modeling.backbones.hieradet.Hiera
      embed_dim: 8
      num_heads: 1
      stages: [1, 1, 2, 1]
      global_att_blocks: [3]
      window_spec: [8, 4, 4, 2]
      window_pos_embed_bkg_spatial_size: [7, 7]
    neck:
      _target_: sam2.modeling.backbones.image_encoder.FpnNeck
      position_encoding:
        _target_: sam2.modeling.position_encoding.PositionEmbeddingSine
        num_pos_feats: 32
      d_model: 32
      backbone_channel_list: [64, 32, 16, 8]
      fpn_top_down_levels: [2, 3]
      fpn_interp_model: nearest
  memory_attention:
    _target_: sam2.modeling.memory_attention.MemoryAttention
    d_model: 32
    pos_enc_at_input: true
    num_layers: 1
    layer:
      _target_: sam2.modeling.memory_attention.MemoryAttentionLayer
      activation: relu
      d_model: 32
      dim_feedforward: 32
      dropout: 0.0
      pos_enc_at_attn: false
      pos_enc_at_cross_attn_keys: true
      pos_enc_at_cross_attn_queries: false
      self_attention:
        _target_: sam2.modeling.sam.transformer.RoPEAttention
        embedding_dim: 32
        num_heads: 1
        feat_sizes: [8, 8]
      cross_attention:
        _target_: sam2.modeling.sam.transformer.RoPEAttention
        embedding_dim: 32
        num_heads: 1
        feat_sizes: [8, 8]
        rope_k_repeat: true
        kv_in_dim: 16
  memory_encoder:
    _target_: sam2.modeling.memory_encoder.MemoryEncoder
    in_dim: 32
    out_dim: 16
    position_encoding:
      _target_: sam2.modeling.position_encoding.PositionEmbeddingSine
      num_pos_feats: 16
    mask_downsampler:
      _target_: sam2.modeling.memory_encoder.MaskDownSampler
      embed_dim: 32
      kernel_size: 3
      stride: 2
      padding: 1
    fuser:
      _target_: sam2.modeling.memory_encoder.Fuser
      num_layers: 1
      layer:
        _target_: sam2.modeling.memory_encoder.CXBlock
        dim: 32
        kernel_size: 3
        padding: 1
  num_maskmem: 4
  max_obj_ptrs_in_encoder: 8
  image_size: 128
  sigmoid_scale_for_mem_enc: 20.0
  sigmoid_bias_for_mem_enc: -10.0
  use_mask_input_as_output_without_sam: true
  directly_add_no_mem_embed: true
  no_obj_embed_spatial: true
  use_high_res_features_in_sam: true
  multimask_output_in_sam: true
  multimask_output_for_tracking: true
  multimask_min_pt_num: 0
  multimask_max_pt_num: 1
  use_multimask_token_for_obj_ptr: true
  iou_prediction_use_sigmoid: true
  use_obj_ptrs_in_encoder: true
  add_tpos_enc_to_obj_ptrs: true
  proj_tpos_enc_in_obj_ptrs: true
  use_signed_tpos_enc_to_obj_ptrs: true
  only_obj_ptrs_in_the_past_for_eval: true
  pred_obj_scores: true
  pred_obj_scores_mlp: true
  fixed_no_obj_ptr: true
  use_mlp_for_obj_ptr_proj: true
"""


def make(folder: Path, change: tuple[str, str] = ("", "")) -> tuple[Path, Path]:
    """Write a configuration and a checkpoint, in the package's own formats; returns their paths.

    The head that says whether the thing is in the image is made to say yes, so that masks are not
    all empty. `change` is a text of the configuration, and what stands there instead.
    """
    import torch
    from hydra import compose
    from hydra.utils import instantiate

    from hierarchy_nodes.segmenter.sam2.loading import searching

    config = folder / "tiny.yaml"
    config.write_text(CONFIG.replace(*change))
    torch.manual_seed(0)
    with searching(config) as name:
        composed = compose(name)
    composed.model["_target_"] = "sam2.sam2_video_predictor.SAM2VideoPredictor"
    model = instantiate(composed.model)
    state = model.state_dict()
    last = max(name for name in state if "pred_obj_score_head" in name and name.endswith("bias"))
    state[last].fill_(2.0)
    checkpoint = folder / "tiny.pt"
    torch.save({"model": state}, checkpoint)
    return config, checkpoint
