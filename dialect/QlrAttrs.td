// Codecs, stage domains and planned arguments.
#ifndef QLR_DIALECT_QLRATTRS_TD
#define QLR_DIALECT_QLRATTRS_TD

include "dialect/Qlr.td"
include "dialect/QlrInterfaces.td"
include "mlir/IR/EnumAttr.td"

//===----------------------------------------------------------------------===//
// Codecs. `fromName` maps a checkpoint's codec name to the attribute.
//===----------------------------------------------------------------------===//

class Qlr_Codec<string name, string mnemonic>
    : Qlr_Attr<name, mnemonic, [CodecAttrInterface]> {
  code codecMethods = [{
    /// The codec called `name` if it belongs to this family, else null.
    static ::mlir::Attribute fromName(::mlir::MLIRContext *context,
                                      ::llvm::StringRef name);
    std::string getCodecName() const;
    unsigned getActivationBits() const;
    double getCostPerWeight() const;
  }];
  let extraClassDeclaration = codecMethods;
}

def Qlr_IntCodec : Qlr_Codec<"IntCodec", "int"> {
  let summary = "Symmetric integers of 2, 3, 4 or 8 bits";
  let description = [{
    The value of code `q` is `(2q - 2^bits + 1) / 2` times its scale for 2 to 4
    bits and `q - 128` for 8 bits.

    - C1: `bits` is 2, 3, 4 or 8.
    - C2: `group` is 0 (one scale a row), 32, 64 or 128.

    ```mlir
    #qlr.int<bits = 4>
    #qlr.int<bits = 4, group = 64>
    ```
  }];
  let parameters = (ins "unsigned":$bits, DefaultValuedParameter<"unsigned", "0">:$group);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def Qlr_TrellisCodec : Qlr_Codec<"TrellisCodec", "trellis"> {
  let summary = "Tail-biting trellis over a tile, with learned int8 levels";
  let description = [{
    Weight `i` of a tile is `level[bits b*i+b-window ... b*i+b-1]`, bit indices
    modulo 64 b, times its row's scale.

    - C1: `bits` is 2, 3 or 4.
    - C2: `window` is 7 or 8.

    ```mlir
    #qlr.trellis<bits = 2, window = 7>
    ```
  }];
  let parameters = (ins "unsigned":$bits, DefaultValuedParameter<"unsigned", "7">:$window);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = codecMethods # [{
    unsigned getLevelCount() const { return 1u << getWindow(); }
  }];
}

def Qlr_FloatCodec : Qlr_Codec<"FloatCodec", "float"> {
  let summary = "Plain rows of bf16 or f32";
  let description = [{
    - C1: the element type is bf16 or f32.

    ```mlir
    #qlr.float<bf16>
    ```
  }];
  let parameters = (ins "::mlir::Type":$elementType);
  let assemblyFormat = "`<` $elementType `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = codecMethods # [{
    unsigned getBits() const;
    bool isPlainRows() const { return true; }
  }];
}

//===----------------------------------------------------------------------===//
// Stages and plans
//===----------------------------------------------------------------------===//

def Qlr_Domain : I32EnumAttr<"Domain", "what one item of a stage is", [
    I32EnumAttrCase<"tokens", 0>,
    I32EnumAttrCase<"blocks", 1>,
    I32EnumAttrCase<"strips", 2>,
    I32EnumAttrCase<"heads", 3>]> {
  let cppNamespace = "::qlr";
  let genSpecializedAttr = 0;
}
def Qlr_DomainAttr : EnumAttr<Qlr_Dialect, Qlr_Domain, "domain"> {
  let summary = "What one item of a stage is: a token, a token's block of 128 columns, a strip of 16 rows, or a token's head";
}

def Qlr_ArgKind : I32EnumAttr<"ArgKind", "the arena an argument lies in", [
    I32EnumAttrCase<"weights", 0, "w">,
    I32EnumAttrCase<"scratch", 1, "s">,
    I32EnumAttrCase<"state", 2, "t">,
    I32EnumAttrCase<"cache", 3, "c">]> {
  let cppNamespace = "::qlr";
  let genSpecializedAttr = 0;
}

def Qlr_ArgAttr : Qlr_Attr<"Arg", "arg"> {
  let summary = "One planned kernel argument: an arena and an offset";
  let description = [{
    Arenas: `w` weights, `s` scratch (workspace), `t` state (position, ids), `c`
    cache. The offset is in bytes; in the cache arena it is in bytes per position.

    - C1: the offset is not negative.

    ```mlir
    #qlr.arg<w, 4096>
    ```
  }];
  let parameters = (ins EnumParameter<Qlr_ArgKind>:$kind, "int64_t":$offset);
  let assemblyFormat = "`<` $kind `,` $offset `>`";
  let genVerifyDecl = 1;
}

#endif // QLR_DIALECT_QLRATTRS_TD
